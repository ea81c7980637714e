// Activity: how often people logged in, signed and were refused, over a day, a week or a month.

import { adminHead } from "./admin_head.js";
import { get } from "./api.js";
import { count, when } from "./text.js";
import { element, field, live, select, svg } from "./view.js";

const periods = { "1d": ["the last day", "1h", "hour"], "7d": ["the last week", "6h", "six hours"], "30d": ["the last 30 days", "1d", "day"] };

const charts = [
    ["gateLogins", "Logins at gates"],
    ["signIns", "Sign-ins"],
    ["signings", "Signings"],
    ["gateRefusals", "Refusals at gates", "bad"],
    ["refusals", "Refusals here", "bad"],
];

const WIDTH = 480;
const HEIGHT = 120;
const GAP = 0.25; // of a bar's share

function bars(values, highest, label) {
    const share = WIDTH / values.length;
    return svg(
        "svg",
        { class: "bars", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
        svg("line", { x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 }),
        ...values.map((value, index) => {
            const height = highest > 0 ? (value / highest) * (HEIGHT - 2) : 0;
            return svg("rect", { x: (index + GAP / 2) * share, y: HEIGHT - height, width: share * (1 - GAP), height });
        }),
    );
}

function chart(values, title, kind, since, stepName) {
    const total = values.reduce((sum, value) => sum + value, 0);
    const highest = Math.max(0, ...values);
    const label = `${title}: ${total} in all, ${highest} at most in ${stepName === "hour" ? "an" : "a"} ${stepName}`.replace("a six", "six");
    return element(
        "figure",
        { class: kind ? `chart ${kind}` : "chart" },
        element("figcaption", {}, title),
        element("p", { class: "total" }, String(total)),
        bars(values, highest, label),
        element("p", { class: "axis" }, element("span", {}, when(since)), element("span", {}, "now")),
    );
}

function table(statistics) {
    const rows = statistics.counts.signIns.map((_, index) => {
        const begins = new Date(new Date(statistics.sinceTime).getTime() + index * statistics.stepSeconds * 1000);
        return element("tr", {}, element("td", {}, when(begins)), ...charts.map(([name]) => element("td", {}, String(statistics.counts[name][index]))));
    });
    return element(
        "details",
        {},
        element("summary", {}, "As a table"),
        element(
            "div",
            { class: "table", tabindex: "0", role: "region", "aria-label": "Counts" },
            element("table", { "aria-label": "Counts" }, element("thead", {}, element("tr", {}, ...["From", ...charts.map(([, title]) => title)].map((text) => element("th", { scope: "col" }, text)))), element("tbody", {}, ...rows)),
        ),
    );
}

export function activityPage() {
    const period = select("period", Object.entries(periods).map(([since, [text]]) => [since, text]), "1d");
    const body = live(async () => {
        const [, step, stepName] = periods[period.value];
        const statistics = await get(`/api/v1/statistics?since=${period.value}&step=${step}`);
        return [
            element("div", { class: "charts" }, ...charts.map(([name, title, kind]) => chart(statistics.counts[name], title, kind, statistics.sinceTime, stepName))),
            element("p", { class: "hint" }, `Each bar is ${stepName === "hour" ? "an" : stepName === "day" ? "a" : ""} ${stepName}, ${count(statistics.counts.signIns.length, "bar", "bars")} in all.`.replace("  ", " ")),
            table(statistics),
        ];
    });
    period.addEventListener("change", body.refresh);
    return [
        ...adminHead("admin/activity", "What the gates and this authority did."),
        element("div", { class: "log" }, element("div", { class: "tools" }, field("Show", period)), body.place),
    ];
}
