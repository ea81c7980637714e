// What the pages of administration have in common.

import { element } from "./view.js";

const parts = [
    ["admin", "Accounts"],
    ["admin/projects", "Projects"],
    ["admin/hosts", "Clusters and hosts"],
    ["admin/sessions", "Live sessions"],
    ["admin/activity", "Activity"],
    ["admin/audit", "Audit log"],
];

// The head of each page of administration.
export function adminHead(path, lede) {
    return [
        element("h1", {}, parts.find(([one]) => one === path)[1]),
        element("p", { class: "lede" }, lede),
        element(
            "nav",
            { class: "parts", "aria-label": "Administration" },
            ...parts.map(([one, title]) => element("a", { href: `#/${one}`, "aria-current": one === path ? "page" : undefined }, title)),
        ),
    ];
}
