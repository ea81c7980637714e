// Times and lengths as people read them.

const instant = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export const when = (text) => instant.format(new Date(text));

const units = [
    [86400, "day", "days"],
    [3600, "h", "h"],
    [60, "min", "min"],
    [1, "s", "s"],
];

// The two largest units: "3 days 4 h", "12 min", "40 s".
export function length(seconds) {
    const parts = [];
    let rest = Math.max(0, Math.floor(seconds));
    for (const [size, one, many] of units) {
        const count = Math.floor(rest / size);
        if (count > 0 && parts.length < 2 && !(size === 1 && parts.length > 0)) {
            parts.push(`${count} ${count === 1 ? one : many}`);
        }
        rest -= count * size;
    }
    return parts.join(" ") || "0 s";
}

export const secondsUntil = (text) => (new Date(text) - Date.now()) / 1000;

export function ago(text) {
    const seconds = -secondsUntil(text);
    return seconds < 5 ? "just now" : `${length(seconds)} ago`;
}

// "1d" as the policy has it: "1 day".
export function duration(text) {
    const names = { d: ["day", "days"], h: ["hour", "hours"], min: ["minute", "minutes"], s: ["second", "seconds"] };
    return text.replace(/(\d+)(d|h|min|s)(?=\d|$)/g, (_, count, unit) => `${count} ${names[unit][count === "1" ? 0 : 1]} `).trim();
}

// "1.2 MB".
export function bytes(number) {
    const names = ["bytes", "kB", "MB", "GB", "TB"];
    let size = 0;
    for (; number >= 1000 && size < names.length - 1; size++) {
        number /= 1000;
    }
    return `${size === 0 ? number : number.toFixed(1)} ${names[size]}`;
}

// What the authority says in the middle of a line, by itself.
export const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

export const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;
