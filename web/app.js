// The frame: who is here, which pages there are for them, and which one is shown.

import { get, signOut, site } from "./api.js";
import { accountsPage } from "./admin.js";
import { auditPage } from "./admin_audit.js";
import { hostsPage } from "./admin_hosts.js";
import { connectPage } from "./connect.js";
import { homePage } from "./home.js";
import { jobsPage } from "./jobs.js";
import { keysPage } from "./keys.js";
import { projectPage } from "./project.js";
import { securityPage } from "./security.js";
import { action, button, element, notice } from "./view.js";

// What the address says after "#/": the page, and whom it is for.
const pages = [
    { path: "", title: "Home", make: homePage },
    { path: "keys", title: "Keys", make: keysPage },
    { path: "connect", title: "Connect", make: connectPage },
    { path: "jobs", title: "Jobs", make: jobsPage },
    { path: "security", title: "Security", make: securityPage },
    { path: "project", title: "Project", make: projectPage, for: "managers" },
    { path: "admin", title: "Admin", make: accountsPage, for: "administrators" },
    { path: "admin/hosts", title: "Clusters and hosts", make: hostsPage, for: "administrators", under: "admin" },
    { path: "admin/audit", title: "Audit log", make: auditPage, for: "administrators", under: "admin" },
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

// Makes the page that the address names. Pages get a signal that says when they are left.
function showPage(context, first) {
    const path = location.hash.replace(/^#\/?/, "");
    const page = pages.find((one) => one.path === path && isFor(one, context.who));
    const main = document.getElementById("main");
    leave.abort();
    leave = new AbortController();
    for (const link of document.querySelectorAll("#pages a")) {
        link.toggleAttribute("aria-current", false);
        if (page && link.getAttribute("href") === `#/${page.under ?? page.path}`) {
            link.setAttribute("aria-current", "page");
        }
    }
    const title = page?.title ?? "Not found";
    document.title = `${title} – ${context.site.title || context.site.site}`;
    main.replaceChildren(
        ...(page
            ? page.make({ ...context, left: leave.signal })
            : [element("h1", {}, "Not found"), element("p", {}, "There is no such page. ", element("a", { href: "#/" }, "Home"))]),
    );
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
        addEventListener("hashchange", () => showPage(context, false));
        showPage(context, true);
        document.documentElement.dataset.ready = "true";
    } catch (problem) {
        document.getElementById("main").replaceChildren(
            element("h1", {}, "Posterngate"),
            notice(problem),
            element("p", {}, button("Try again", () => location.reload())),
        );
    }
}

start();
