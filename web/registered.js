// Registered keys: trusted by themselves, without a certificate, from where and until when their owner says.

import { call, get } from "./api.js";
import { publicKeyField } from "./public_key.js";
import { when } from "./text.js";
import { action, confirmEnd, element, empty, field, form, input, live, row, rows, say, section, select } from "./view.js";

const places = (subnets) => (subnets.length > 0 ? `from ${subnets.join(", ")}` : "from everywhere");

// Where something is good from: everywhere, the address of now, or what is typed. Gives the field and what to send.
export function sourceField(who) {
    const subnets = input("ipSubnets", { value: who.address ?? "", placeholder: "192.0.2.0/24" });
    const typed = field("Networks", subnets, "Addresses or CIDR subnets, with blanks between. Your current address is filled in.");
    const kind = select("from", [["everywhere", "everywhere"], ["mine", `my current address${who.address ? ` (${who.address})` : ""}`], ["typed", "these networks"]], "everywhere");
    const show = () => {
        typed.hidden = kind.value !== "typed";
    };
    kind.addEventListener("change", show);
    show();
    return {
        fields: [field("Good from", kind), typed],
        begin: () => kind.form.addEventListener("reset", () => queueMicrotask(show)),
        value: (values) => (values.from === "typed" ? { ipSubnets: values.ipSubnets.split(/[\s,]+/).filter(Boolean) } : { from: values.from }),
    };
}

async function remove(key, refresh) {
    if (await confirmEnd(`Remove the key ${key.name}?`, [key.fingerprint, "Sessions that it opened end everywhere."], "Remove")) {
        await call("DELETE", `/api/v1/keys/${key.id}`);
        say(`Removed the key ${key.name}.`);
        await refresh();
    }
}

export function registered(who, site) {
    const list = live(async () => {
        const { keys } = await get("/api/v1/keys");
        if (keys.length === 0) {
            return empty("None.");
        }
        return rows(
            keys.map((key) =>
                row(
                    key.name,
                    [`${places(key.ipSubnets)}; ${key.expireTime ? `until ${when(key.expireTime)}` : "until it is removed"}`, element("p", { class: "detail code" }, key.fingerprint)],
                    action("Remove", () => remove(key, list.refresh), { class: "danger quiet", "aria-label": `Remove ${key.name}` }),
                ),
            ),
            "Registered keys",
        );
    });
    let fileName = "";
    const source = sourceField(who);
    const send = async (values) => {
        const { key } = await call("POST", "/api/v1/keys", {
            publicKey: values.publicKey.trim(),
            name: values.name || undefined,
            duration: values.duration || undefined,
            ...source.value(values),
        });
        say(`Registered the key ${key?.name ?? fileName}.`);
        await list.refresh();
        return true;
    };
    const named = (name) => {
        fileName = name;
    };
    const made = section(
        "Registered keys",
        element("p", {}, "For programs that cannot take a certificate. They stay good until they end or are removed."),
        list.place,
        element(
            "details",
            {},
            element("summary", {}, "Register a key"),
            form(
                [
                    ...publicKeyField(named),
                    field("Name", input("name", { maxlength: "128" }), "Empty: the key's comment."),
                    field("Good for", input("duration", { placeholder: "90d" }), "Such as 30d or 1d12h; empty: until it is removed, where the site allows."),
                    ...source.fields,
                ],
                "Register",
                send,
            ),
        ),
    );
    source.begin();
    return made;
}
