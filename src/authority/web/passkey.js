// Asks the browser for a passkey, or to make one, and sends the answer with the form that the button stands in.

const encode = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const decode = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const credentials = (list) => list.map((credential) => ({ ...credential, id: decode(credential.id) }));

// What the authority says, in JSON, as the browser's interface wants it.
export function optionsFromJSON(options) {
    const result = { ...options, challenge: decode(options.challenge) };
    if (options.user) {
        result.user = { ...options.user, id: decode(options.user.id) };
    }
    for (const list of ["excludeCredentials", "allowCredentials"]) {
        if (options[list]) {
            result[list] = credentials(options[list]);
        }
    }
    return result;
}

// The fields that the authority reads.
export async function create(options) {
    const made = await navigator.credentials.create({ publicKey: optionsFromJSON(options) });
    return { clientData: encode(made.response.clientDataJSON), attestation: encode(made.response.attestationObject) };
}

export async function get(options) {
    const { rawId, response } = await navigator.credentials.get({ publicKey: optionsFromJSON(options) });
    return {
        credential: encode(rawId),
        clientData: encode(response.clientDataJSON),
        authenticatorData: encode(response.authenticatorData),
        signature: encode(response.signature),
        user: response.userHandle ? encode(response.userHandle) : "",
    };
}

const fieldNames = {
    credential: "passkey_id",
    clientData: "passkey_client_data",
    attestation: "passkey_attestation",
    authenticatorData: "passkey_authenticator_data",
    signature: "passkey_signature",
    user: "passkey_user",
};

function addField(form, name, value) {
    const input = document.createElement("input");
    input.type = "hidden";
    input.name = name;
    input.value = value;
    form.append(input);
}

function explain(error) {
    switch (error.name) {
        case "InvalidStateError":
            return "This authenticator is registered for your account already.";
        case "NotAllowedError":
            return "It was cancelled, took too long, or there is no passkey for this site on this device.";
        case "SecurityError":
            return "The browser allows no passkeys here: open this page by the authority's own name, with https.";
        default:
            return `The browser could not do that: ${error.message}`;
    }
}

async function press(holder, trouble) {
    const form = holder.closest("form");
    const options = JSON.parse(holder.dataset.options);
    trouble.hidden = true;
    if (options.user && !form.reportValidity()) {
        return;
    }
    let answer;
    try {
        answer = options.user ? await create(options) : await get(options);
    } catch (error) {
        trouble.textContent = explain(error);
        trouble.hidden = false;
        return;
    }
    for (const [name, value] of Object.entries(answer)) {
        addField(form, fieldNames[name], value);
    }
    addField(form, "action", holder.dataset.action);
    form.submit();
}

const holder = document.querySelector("#passkey");
if (holder && window.PublicKeyCredential) {
    const trouble = document.querySelector("#passkey-trouble");
    holder.hidden = false;
    document.querySelector("#passkey-button").addEventListener("click", () => press(holder, trouble));
}
