// Connect: what makes ssh and PuTTY reach the clusters, ready to copy, and tunnels to a job's service.

import { get } from "./api.js";
import { knownHosts, puttyRegistry, reach, sshConfig } from "./ssh_text.js";
import { action, copyable, download, element, empty, field, input, live, section, select } from "./view.js";

function commands(site) {
    return section(
        "With the command line",
        element("p", {}, "It signs in, signs your key and writes the configuration by itself."),
        copyable(`postern init ${location.origin}\npostern login\npostern sign\npostern config`, "the commands"),
        element("p", { class: "hint" }, `The key is ${site.defaultKeyFile}; postern keygen makes one.`),
    );
}

function plainSsh(who, site, places) {
    return section(
        "With plain ssh",
        element("p", {}, "In ~/.ssh/config:"),
        copyable(sshConfig(who, site, places), "the configuration of ssh"),
        element("p", { class: "apart" }, "In ~/.ssh/known_hosts, so that no host is ever asked about:"),
        copyable(knownHosts(site, places), "the known hosts"),
        places.clusters.length > 0 && element("p", { class: "apart" }, "Then:"),
        places.clusters.length > 0 && copyable(places.clusters.map((cluster) => `ssh ${cluster.name}`).join("\n"), "the ways to log in"),
        places.jumps.length > 0 &&
            element("p", { class: "hint apart" }, "To a job: ", element("code", {}, "ssh job-ID"), ". ssh asks about the key of a job's own machines, which Jobs shows; with the command line it knows it."),
    );
}

function putty(who, site, places) {
    const name = `posterngate-${site.site}.reg`;
    const registry = puttyRegistry(who, site, places);
    return section(
        "With PuTTY",
        element("p", {}, "Saved sessions for Windows' registry editor. They take the keys that Pageant holds; PuTTY 0.78 or newer goes through the jump host by itself."),
        element("div", { class: "actions" }, action(`Download ${name}`, async () => download(name, registry), { class: "main" })),
        element("details", {}, element("summary", {}, "Look at it"), copyable(registry.replaceAll("\r\n", "\n"), "the sessions for PuTTY")),
    );
}

// ---- tunnels ------------------------------------------------------------------------------------

const isPort = (text) => /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65535;

function tunnelTexts(who, jump, job, port, local) {
    const machine = job.address || job.nodes[0];
    const login = `${job.address ? job.user : who.username}@${machine}`;
    const hops = [jump, !job.address && job.cluster].filter(Boolean).join(",");
    const options = [hops && `-J ${hops}`, job.address && job.port !== 22 && `-p ${job.port}`].filter(Boolean).join(" ");
    return [`postern tunnel --job ${job.job}@${job.cluster} ${port}`, `ssh -N ${options} -L ${local}:localhost:${port} ${login}`.replace("  ", " ")];
}

function tunnelBuilder(who, site, jobs) {
    if (jobs.length === 0) {
        return empty("No job of yours runs now. A tunnel leads to a service that one of them offers.");
    }
    const jump = site.jumpHosts[0]?.name;
    const chosen = select("job", jobs.map((job, index) => [String(index), `${job.job} on ${job.cluster}`]));
    const port = input("port", { inputmode: "numeric", value: "8888" });
    const local = input("local", { inputmode: "numeric", value: "8888" });
    const result = element("div", { class: "live", role: "status" });
    const show = () => {
        if (!isPort(port.value) || !isPort(local.value)) {
            result.replaceChildren(empty("A port is a number from 1 to 65535."));
            return;
        }
        const [ours, plain] = tunnelTexts(who, jump, jobs[Number(chosen.value)], port.value, local.value);
        result.replaceChildren(
            copyable(ours, "the tunnel by postern"),
            element("p", { class: "hint" }, "It finds a free port, checks each hop and waits for the service. By ssh alone:"),
            copyable(plain, "the tunnel by ssh"),
            element("p", {}, "Then open ", element("a", { href: `http://localhost:${local.value}/`, rel: "noreferrer" }, `localhost:${local.value}`), "."),
        );
    };
    for (const control of [chosen, port, local]) {
        control.addEventListener("input", show);
    }
    show();
    return element(
        "div",
        { class: "panel" },
        element("div", { class: "side-by-side" }, field("Job", chosen), field("Port of the service", port), field("Port on this machine", local)),
        result,
    );
}

export function connectPage({ who, site }) {
    const body = live(async () => {
        const [{ knownHosts: known }, { jobs }] = await Promise.all([get("/api/v1/known-hosts?include_compute=true"), get("/api/v1/jobs?limit=100")]);
        const places = reach(who, site, known);
        return [commands(site), plainSsh(who, site, places), section("A tunnel to a job", tunnelBuilder(who, site, jobs)), putty(who, site, places)];
    });
    return [
        element("h1", {}, "Connect"),
        element("p", { class: "lede" }, `Made for ${who.username}, from what this account reaches now.`),
        body.place,
    ];
}
