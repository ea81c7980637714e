// From where the account may come in at all: at gates and hosts, not here.

import { call, get } from "./api.js";
import { sourceField } from "./registered.js";
import { confirmEnd, element, form, live, say, section } from "./view.js";

const words = (subnets) => (subnets.length > 0 ? subnets.join(", ") : "everywhere");

async function choose(choice) {
    try {
        return await call("PUT", "/api/v1/access", choice);
    } catch (problem) {
        const ends = ["Your address of now is not among them: what is open from here ends.", "This page stays usable, from anywhere."];
        if (problem.code !== "locks_out" || !(await confirmEnd("Lock this address out?", ends, "Lock it out"))) {
            throw problem;
        }
        return call("PUT", "/api/v1/access", { ...choice, force: true });
    }
}

export function accessSection(who) {
    const list = live(async () => {
        const { ipSubnets } = await get("/api/v1/access");
        return element("p", {}, "Your keys and certificates are good from ", element("strong", {}, words(ipSubnets)), ".");
    });
    const source = sourceField(who);
    const made = form(source.fields, "Choose", async (values) => {
        const { ipSubnets } = await choose(source.value(values));
        say(`From now on: from ${words(ipSubnets)}.`);
        await list.refresh();
    });
    return section("Where you may come in from", list.place, element("details", {}, element("summary", {}, "Choose"), made));
}
