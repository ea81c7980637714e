// The frame: who is here, which pages there are for them, and which one is shown.

import { get, onSignInNeeded, Problem, signOut, site } from "./api.js";
import { homePage } from "./home.js";
import { action, button, element, notice } from "./view.js";

// What the address says after "#/": the page, for whom it is, and what makes it. All but the first come when they are asked for.
const pages = [
    { path: "", title: "Home", load: async () => homePage },
    { path: "keys", title: "Keys", load: async () => (await import("./keys.js")).keysPage },
    { path: "connect", title: "Connect", load: async () => (await import("./connect.js")).connectPage },
    { path: "jobs", title: "Jobs", load: async () => (await import("./jobs.js")).jobsPage },
    { path: "security", title: "Security", load: async () => (await import("./security.js")).securityPage },
    { path: "project", title: "Project", load: async () => (await import("./project.js")).projectPage, for: "managers" },
    { path: "admin", title: "Admin", load: async () => (await import("./admin.js")).accountsPage, for: "administrators" },
    { path: "admin/projects", title: "Projects", load: async () => (await import("./admin_projects.js")).projectsPage, for: "administrators", under: "admin" },
    { path: "admin/hosts", title: "Clusters and hosts", load: async () => (await import("./admin_hosts.js")).hostsPage, for: "administrators", under: "admin" },
    { path: "admin/sessions", title: "Live sessions", load: async () => (await import("./admin_sessions.js")).sessionsPage, for: "administrators", under: "admin" },
    { path: "admin/activity", title: "Activity", load: async () => (await import("./admin_activity.js")).activityPage, for: "administrators", under: "admin" },
    { path: "admin/audit", title: "Audit log", load: async () => (await import("./admin_audit.js")).auditPage, for: "administrators", under: "admin" },
];

const managesProject = (who) => who.projects.some((project) => project.role === "manager");
const isFor = (page, who) =>
    page.for === undefined || (page.for === "managers" ? managesProject(who) : who.administrator);

function showFrame(context) {
    document.getElementById("site").textContent = context.site.title || context.site.site;
    document.getElementById("pages").replaceChildren(
        ...pages
            .filter((page) => !page.under && isFor(page, context.who))
            .map((page) => element("li", {}, element("a", { href: `#/${page.path}` }, page.title))),
    );
    document.getElementById("who").replaceChildren(
        element("span", { class: "name" }, context.who.username),
        action("Sign out", signOut, { class: "quiet" }),
    );
}

let leave = new AbortController();

function notFound() {
    return [element("h1", {}, "Not found"), element("p", {}, "There is no such page. ", element("a", { href: "#/" }, "Home"))];
}

// A page whose module is not there: with the version of now it is. Gives what to show where that was tried already.
function reloadOnce(page) {
    if (sessionStorage.getItem("reloaded") !== page.path) {
        sessionStorage.setItem("reloaded", page.path);
        location.reload();
        return undefined;
    }
    sessionStorage.removeItem("reloaded");
    const problem = new Problem(0, { code: "not_loaded", message: "This page could not be loaded. Check your network and try again." });
    return () => [element("h1", {}, page.title), notice(problem), element("p", { class: "apart" }, button("Try again", () => location.reload()))];
}

function mark(page) {
    for (const link of document.querySelectorAll("#pages a")) {
        link.removeAttribute("aria-current");
        if (page && link.getAttribute("href") === `#/${page.under ?? page.path}`) {
            link.setAttribute("aria-current", "page");
        }
    }
}

// Makes the page that the address names. Pages get a signal that says when they are left.
async function showPage(context, first) {
    const path = location.hash.replace(/^#\/?/, "");
    const page = pages.find((one) => one.path === path && isFor(one, context.who));
    leave.abort();
    leave = new AbortController();
    const left = leave.signal;
    let make = notFound;
    try {
        make = page ? await page.load() : notFound;
        sessionStorage.removeItem("reloaded");
    } catch {
        make = reloadOnce(page); // the authority has another version by now
    }
    if (make === undefined) {
        return;
    }
    if (left.aborted) {
        return;
    }
    const main = document.getElementById("main");
    document.getElementById("said").replaceChildren();
    mark(page);
    document.title = `${page?.title ?? "Not found"} – ${context.site.title || context.site.site}`;
    main.replaceChildren(...make({ ...context, left }));
    scrollTo(0, 0);
    if (!first) {
        const heading = main.querySelector("h1");
        heading?.setAttribute("tabindex", "-1");
        heading?.focus();
    }
}

async function start() {
    document.getElementById("skip").addEventListener("click", (event) => {
        event.preventDefault();
        const main = document.getElementById("main");
        main.setAttribute("tabindex", "-1");
        main.focus();
    });
    try {
        const [who, about] = await Promise.all([get("/api/v1/auth/whoami"), site()]);
        const context = { who, site: about };
        showFrame(context);
        onSignInNeeded(async (reason) => (await import("./sign_again.js")).signInHere(who.username, reason));
        addEventListener("hashchange", () => showPage(context, false));
        await showPage(context, true);
        performance.mark("ready"); // for ./run bench dashboard
    } catch (problem) {
        document.getElementById("main").replaceChildren(
            element("h1", {}, "Posterngate"),
            notice(problem),
            element("p", {}, button("Try again", () => location.reload())),
        );
    }
}

start();
