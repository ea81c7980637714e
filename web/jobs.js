// Jobs: where each one's machines are, and by what they are known.

import { get } from "./api.js";
import { fingerprint } from "./ssh_text.js";
import { ago, when } from "./text.js";
import { badge, copyable, element, empty, field, paged, row, select } from "./view.js";

const PAGE_ROWS = 50;

const types = { shared: "a part of its nodes", whole: "whole nodes", deploy: "whole nodes, with root", cluster: "machines of its own" };

const sshTo = (job) => (job.address ? `ssh ${job.port !== 22 ? `-p ${job.port} ` : ""}${job.user}@${job.address}` : `ssh job-${job.job}`);

function facts(job) {
    const list = [
        ["User", job.user],
        job.address ? ["Address", `${job.address} port ${job.port}`] : ["Nodes", job.nodes.join(", ")],
        ["Started", `${when(job.startTime)} (${ago(job.startTime)})`],
        job.endedTime ? ["Ended", when(job.endedTime)] : job.endTime && ["Ends by", when(job.endTime)],
        ...job.fingerprints.map((text) => ["Host key", element("code", {}, text)]),
    ];
    return element("dl", { class: "facts" }, ...list.filter(Boolean).flatMap(([term, what]) => [element("dt", {}, term), element("dd", {}, what)]));
}

const show = (job) =>
    row(
        [`${job.job} on ${job.cluster} `, badge(job.endedTime ? "ended" : types[job.type], job.endedTime ? "plain" : "good")],
        [facts(job)],
        ...(job.endedTime ? [] : [copyable(sshTo(job), `the command for job ${job.job}`)]),
    );

export function jobsPage() {
    const which = select("which", [["running", "Running"], ["all", "All, also those that have ended"]], "running");
    const list = paged(
        "Jobs",
        async (cursor) => {
            const query = new URLSearchParams({ limit: PAGE_ROWS, include_ended: which.value === "all" });
            if (cursor) {
                query.set("after", cursor);
            }
            const { jobs } = await get(`/api/v1/jobs?${query}`);
            for (const job of jobs) {
                job.fingerprints = await Promise.all(job.hostKeys.map(fingerprint));
            }
            return { items: jobs, next: jobs.length === PAGE_ROWS ? jobs.at(-1).id : undefined };
        },
        show,
        empty("No job of yours runs now."),
    );
    which.addEventListener("change", list.refresh);
    return [
        element("h1", {}, "Jobs"),
        element("p", { class: "lede" }, "While a job runs, you may log in to its nodes. With its end your sessions there end."),
        element("section", { "aria-label": "Jobs" }, element("div", { class: "tools" }, field("Show", which)), list.place),
    ];
}
