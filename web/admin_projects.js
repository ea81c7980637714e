// Admin: every project, the clusters that it reaches, and its people.

import { adminHead } from "./admin_head.js";
import { call, get } from "./api.js";
import { projectBody } from "./project.js";
import { count } from "./text.js";
import { element, empty, field, form, input, live, say } from "./view.js";

const describe = (project) => [project.displayName, project.clusters.join(", ") || "no cluster", count(project.members.length, "member", "members")].filter(Boolean).join(" · ");

// Its people are asked for when it is opened; it stays so when the list is made anew.
function showProject(project, who, opened) {
    const words = element("span", { class: "detail" }, describe(project));
    const body = element("div", { class: "inside" });
    const made = element(
        "details",
        { class: "thing", open: opened.has(project.name) },
        element("summary", {}, element("h2", {}, project.name), " ", words),
        body,
    );
    const fill = () => {
        made.open ? opened.add(project.name) : opened.delete(project.name);
        if (made.open && body.childElementCount === 0) {
            body.append(
                projectBody(project.name, who, (now) => {
                    words.textContent = describe(now);
                }),
            );
        }
    };
    made.addEventListener("toggle", fill);
    return made;
}

export function projectsPage({ who }) {
    const opened = new Set();
    const list = live(async () => {
        const { projects } = await get("/api/v1/projects");
        return projects.length > 0 ? element("div", { class: "things" }, ...projects.map((project) => showProject(project, who, opened))) : empty("None yet.");
    });
    const add = form(
        [
            field("Name", input("name", { autocapitalize: "none", required: true }), "Letters, digits, and - _ . between them: s1234."),
            field("Title", input("displayName", { maxlength: "128" }), "What it is about."),
        ],
        "Make the project",
        async (values) => {
            const { project } = await call("POST", "/api/v1/projects", { name: values.name.trim(), displayName: values.displayName || undefined });
            opened.add(project.name);
            await list.refresh();
            say(`Made the project ${project.name}. Now give it clusters and a manager.`);
            return true;
        },
    );
    return [
        ...adminHead("admin/projects", "What people reach follows from their projects: the clusters are yours to give, the people their managers'."),
        element("div", { class: "log" }, element("details", { class: "make" }, element("summary", {}, "Make a project"), add), list.place),
    ];
}
