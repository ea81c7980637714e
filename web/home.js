// Home: who you are, what you reach, what is valid now, and the next thing to do.

import { get } from "./api.js";
import { count, length, secondsUntil, when } from "./text.js";
import { badge, copyable, element, empty, live, row, rows, section } from "./view.js";

const TICK_MS = 5000;

// A bar that runs down, and the time left in words.
function timeLeft(certificate, left) {
    const whole = (new Date(certificate.expireTime) - new Date(certificate.issuedTime)) / 1000;
    const words = element("span", { class: "left" });
    const bar = element("progress", { max: "1", "aria-label": `Time left of certificate ${certificate.serialNumber}` });
    const tick = () => {
        const seconds = secondsUntil(certificate.expireTime);
        bar.value = Math.max(0, Math.min(1, seconds / whole));
        bar.classList.toggle("low", seconds / whole < 0.15);
        words.textContent = seconds > 0 ? `${length(seconds)} left` : "expired";
    };
    tick();
    const timer = setInterval(tick, TICK_MS);
    left.addEventListener("abort", () => clearInterval(timer));
    return element("div", { class: "time" }, bar, words);
}

function certificates(list, left) {
    if (list.length === 0) {
        return empty("None. ", element("a", { href: "#/keys" }, "Sign a key"), " to get in.");
    }
    return rows(
        list.map((certificate) =>
            row(
                certificate.keyId,
                [`until ${when(certificate.expireTime)}`, element("p", { class: "detail code" }, certificate.fingerprint), timeLeft(certificate, left)],
            ),
        ),
        "Certificates valid now",
    );
}

function clusters(who, site) {
    if (who.clusters.length === 0) {
        return empty("No cluster yet: what you reach follows from the projects that you are a member of.");
    }
    return rows(
        who.clusters.map((name) => {
            const cluster = site.clusters.find((one) => one.name === name);
            const place = cluster && cluster.address !== name ? cluster.address : null;
            return row(name, [place], copyable(`ssh ${name}`, `the command for ${name}`));
        }),
        "Clusters that you reach",
    );
}

// What a newcomer lacks most; null when nothing is.
function nextThing(who, list, registered) {
    if (who.projects.length === 0) {
        return ["Join a project", "Ask the manager of your project to add you. Until then your account reaches nothing.", null];
    }
    if (who.clusters.length === 0) {
        return ["Wait for a cluster", "Your projects have no cluster yet. Their managers can ask for one.", null];
    }
    if (list.length === 0 && registered.length === 0) {
        return ["Sign your first key", "A signed key opens every cluster below, until its certificate ends.", ["#/keys", "Sign a key"]];
    }
    return null;
}

function next(who, list, registered) {
    const thing = nextThing(who, list, registered);
    if (thing === null) {
        return null;
    }
    const [title, text, link] = thing;
    return element(
        "section",
        { class: "next", "aria-label": "The next thing to do" },
        element("p", { class: "over" }, "Next"),
        element("h2", {}, title),
        element("p", {}, text),
        link && element("p", {}, element("a", { class: "main", href: link[0] }, link[1])),
    );
}

function projects(who) {
    return who.projects.map((project) => [" ", badge(project.role === "manager" ? `${project.name} · manager` : project.name, "plain")]).flat();
}

export function homePage({ who, site, left }) {
    const body = live(async () => {
        const [{ sshKeys }, { keys }] = await Promise.all([get("/api/v1/ssh-keys?limit=20"), get("/api/v1/keys")]);
        return [
            next(who, sshKeys, keys),
            section("Valid now", certificates(sshKeys, left)),
            section("What you reach", clusters(who, site)),
        ].filter(Boolean);
    });
    return [
        element("p", { class: "over" }, "Signed in as"),
        element("h1", {}, who.displayName || who.username),
        element(
            "p",
            { class: "lede" },
            `${who.username} · ${count(who.clusters.length, "cluster", "clusters")} · until ${when(who.expireTime)}`,
            ...projects(who),
        ),
        body.place,
    ];
}
