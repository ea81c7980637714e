// A public key: pasted, dropped or chosen.

import { element, field, say } from "./view.js";

// A field for one; `named(name)` hears the file's name.
export function publicKeyField(named) {
    const text = element("textarea", {
        name: "publicKey",
        rows: "4",
        spellcheck: "false",
        autocomplete: "off",
        placeholder: "ssh-ed25519 AAAA…",
        required: true,
    });
    const take = async (file) => {
        if (file) {
            text.value = (await file.text()).trim();
            named(file.name);
            say(`Took ${file.name}.`);
        }
    };
    text.addEventListener("dragover", (event) => event.preventDefault());
    text.addEventListener("drop", (event) => {
        if (event.dataTransfer.files.length > 0) {
            event.preventDefault();
            take(event.dataTransfer.files[0]);
        }
    });
    const chooser = element("input", { type: "file", accept: ".pub", onchange: () => take(chooser.files[0]) });
    return [
        field("Public key", text, "The line of your .pub file: paste it, or drop the file here. Never the private key."),
        field("or choose the file", chooser),
    ];
}
