// The authority's API, as every client speaks it (docs/openapi.yaml), with the browser's session as the credential.

import { sentence } from "./text.js";

// A refusal: what an RFC 9457 problem document says.
export class Problem extends Error {
    constructor(status, document) {
        super(sentence(document.message ?? `the authority answered with status ${status}`));
        this.status = status;
        this.code = document.code ?? "unknown";
        this.field = document.field;
        this.requestId = document.requestId;
    }
}

async function request(method, path, headers, body) {
    let answer, text;
    try {
        answer = await fetch(path, { method, headers, body, credentials: "same-origin", cache: "no-store", redirect: "error" });
        text = await answer.text();
    } catch {
        throw new Problem(0, { code: "unreachable", message: "The authority cannot be reached. Check your network and try again." });
    }
    let document = {};
    try {
        document = JSON.parse(text);
    } catch {
        if (answer.ok) {
            return text;
        }
    }
    if (!answer.ok) {
        throw new Problem(answer.status, document);
    }
    return document;
}

function signIn() {
    const place = location.hash.replace(/^#\/?/, "").replace(/[^a-z].*$/, "");
    location.assign(`/sign-in?place=${place}`);
    return new Promise(() => {}); // the page is about to be left
}

let csrfToken;

async function session() {
    csrfToken ??= request("GET", "/api/v1/auth/csrf-token", {}).then((answer) => answer.csrfToken);
    return csrfToken;
}

// How the page asks for a sign-in while it stays: a function of what is said, which gives whether they did.
let signInHere;
export const onSignInNeeded = (work) => {
    signInHere = work;
};

// Of several calls that need it, one asks.
let asking;
function askOnce(reason) {
    asking ??= signInHere(reason).finally(() => {
        asking = undefined;
        csrfToken = undefined;
    });
    return asking;
}

// Whether to try once more after this refusal.
async function mend(problem) {
    if (problem.code === "not_logged_in") {
        return signInHere ? (await askOnce("Your session has ended. What you typed is still here.")) || signIn() : signIn();
    }
    if (problem.code === "sign_in_needed" && signInHere) {
        return askOnce("This changes how you sign in, so it wants a sign-in of the last minutes.");
    }
    return problem.code === "cross_site"; // somebody signed in anew in another tab: the token is that session's now
}

// The answer, or throws a Problem. Whoever is not signed in is asked to, here or where one signs in.
export async function call(method, path, body) {
    for (let again = false; ; again = true) {
        try {
            const headers = { "X-CSRF-Token": await session() };
            if (body !== undefined) {
                headers["Content-Type"] = "application/json";
            }
            return await request(method, path, headers, body === undefined ? undefined : JSON.stringify(body));
        } catch (problem) {
            csrfToken = undefined;
            if (again || !(await mend(problem))) {
                throw problem;
            }
        }
    }
}

// For what needs no session, of pages where nobody is signed in yet.
export const ask = (method, path, body) => request(method, path, { "Content-Type": "application/json" }, JSON.stringify(body));

export const get = (path) => call("GET", path);

export async function signOut() {
    await call("POST", "/api/v1/auth/logout");
    location.assign("/sign-in");
}

// To the page where one signs in, by whichever means, and back.
export async function leaveToSignIn() {
    await request("POST", "/api/v1/auth/logout", { "X-CSRF-Token": await session().catch(() => "") }).catch(() => {}); // it may have ended
    return signIn();
}

// The site document needs no session.
export const site = () => request("GET", "/.well-known/posterngate", {});
