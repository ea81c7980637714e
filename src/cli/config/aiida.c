#include "cli/config/aiida.h"

#include <jansson.h>

/* A string of JSON is one of YAML, whatever is in it. */
static err_t put_text(struct buf *out, const char *name, const char *value) {
    json_t *text = json_string(value);
    char *quoted CLEANUP(freep) =
        text == NULL ? NULL : json_dumps(text, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    json_decref(text);
    return quoted == NULL ? FAIL(ERR_MALFORMED) : buf_add_format(out, "%s: %s\n", name, quoted);
}

err_t aiida_put_setup(const struct aiida_computer *computer, struct buf *out) {
    TRY(buf_add_str(out, "---\n# verdi computer setup --non-interactive --config THIS\n"));
    TRY(put_text(out, "label", computer->label));
    TRY(put_text(out, "hostname", computer->address));
    TRY(buf_add_str(out, "description: "));
    TRY(buf_add_format(out, "\"%s at %s, through Posterngate\"\n", computer->label,
                       computer->site));
    TRY(put_text(out, "transport", "core.ssh_async"));
    TRY(buf_add_str(out, "# What follows is the cluster's: look at it.\n"));
    TRY(put_text(out, "scheduler", "core.slurm"));
    TRY(put_text(out, "shebang", "#!/bin/bash"));
    TRY(put_text(out, "work_dir", "/scratch/{username}/aiida/"));
    TRY(put_text(out, "mpirun_command", "srun -n {tot_num_mpiprocs}"));
    TRY(buf_add_str(out, "mpiprocs_per_machine: 1\n"));
    TRY(put_text(out, "prepend_text", ""));
    return put_text(out, "append_text", "");
}

err_t aiida_put_ssh_async(const struct aiida_computer *computer, struct buf *out) {
    TRY(buf_add_format(out,
                       "---\n# verdi computer configure core.ssh_async %s --non-interactive "
                       "--config THIS\n# The host is a name in ~/.ssh/config: postern config.\n",
                       computer->label));
    TRY(put_text(out, "host", computer->label));
    TRY(buf_add_str(out, "max_io_allowed: 8\n"));
    TRY(computer->refresh != NULL ? put_text(out, "authentication_script", computer->refresh) : OK);
    TRY(buf_add_str(out, computer->in_agent
                             ? "# The key is for the agent, from which asyncssh would use no "
                               "certificate that lies in a file.\n"
                             : "# openssh shares connections where postern config --multiplex says "
                               "so;\n# asyncssh is faster, and takes one jump host.\n"));
    TRY(put_text(out, "backend", computer->in_agent ? "openssh" : "asyncssh"));
    return buf_add_str(out, "use_login_shell: true\nsafe_interval: 15.0\n");
}

err_t aiida_put_ssh(const struct aiida_computer *computer, struct buf *out) {
    TRY(buf_add_format(out,
                       "---\n# verdi computer configure core.ssh %s --non-interactive --config "
                       "THIS\n# It knows hosts by ~/.ssh/known_hosts alone:\n"
                       "#   postern known-hosts && cat '%s' >>~/.ssh/known_hosts\n",
                       computer->label, computer->known_hosts));
    TRY(computer->in_agent ? buf_add_str(out, "# The key has a passphrase, with which this one can "
                                              "do nothing: take core.ssh_async.\n")
                           : OK);
    TRY(computer->username != NULL ? put_text(out, "username", computer->username) : OK);
    TRY(buf_add_format(out, "port: %u\nlook_for_keys: false\n", (unsigned)computer->port));
    TRY(put_text(out, "key_filename", computer->key_file));
    TRY(buf_add_str(out, "timeout: 60\nallow_agent: false\n"));
    TRY(put_text(out, "proxy_jump", computer->proxy_jump != NULL ? computer->proxy_jump : ""));
    TRY(put_text(out, "proxy_command", ""));
    TRY(buf_add_str(out, "compress: true\ngss_auth: false\ngss_kex: false\n"
                         "gss_deleg_creds: false\n"));
    TRY(put_text(out, "gss_host", computer->address));
    TRY(buf_add_str(out, "load_system_host_keys: true\n"));
    TRY(put_text(out, "key_policy", "RejectPolicy"));
    return buf_add_str(out, "use_login_shell: true\nsafe_interval: 30.0\n");
}
