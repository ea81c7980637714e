/* postern completion: what a shell needs to complete postern's words, and what it asks then. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/completion/candidates.h"

/* Bash breaks words at ":", "=" and "@", which are part of ours: they are put together as typed,
 * and what readline will not replace is taken off the candidates. Nothing is expanded: compgen
 * would. */
static const char bash_script[] =
    "# postern completion bash: source this, or put it where bash-completion looks.\n"
    "_postern() {\n"
    "    local rest=${COMP_LINE:0:COMP_POINT} words=() reply=() part= before line i\n"
    "    for ((i = 0; i <= COMP_CWORD; i++)); do\n"
    "        if [[ $i == 0 || $rest == [[:space:]]* ]]; then\n"
    "            rest=${rest#\"${rest%%[![:space:]]*}\"}\n"
    "            words+=('')\n"
    "        fi\n"
    "        part=${COMP_WORDS[i]:0:${#rest}}\n"
    "        words[${#words[@]}-1]+=$part\n"
    "        rest=${rest:${#part}}\n"
    "    done\n"
    "    [[ $part != [:=@] ]] || part=\n"
    "    before=${words[${#words[@]}-1]}\n"
    "    before=${before:0:${#before}-${#part}}\n"
    "    mapfile -t reply < <(command postern __complete -- \"${words[@]:1}\" 2>/dev/null)\n"
    "    COMPREPLY=()\n"
    "    for line in \"${reply[@]}\"; do\n"
    "        if [[ $line == :files ]]; then\n"
    "            compopt -o default -o bashdefault\n"
    "            continue\n"
    "        fi\n"
    "        line=${line%%$'\\t'*}\n"
    "        COMPREPLY+=(\"${line:${#before}}\")\n"
    "    done\n"
    "}\n"
    "complete -F _postern postern\n";

static const char zsh_script[] =
    "#compdef postern\n"
    "# postern completion zsh: source this after compinit, or put it into $fpath as _postern.\n"
    "_postern() {\n"
    "    local -a reply values shown\n"
    "    local line files=\n"
    "    reply=(\"${(@f)$(command postern __complete -- \"${(@)words[2,CURRENT-1]}\" "
    "\"$PREFIX\" 2>/dev/null)}\")\n"
    "    for line in \"${reply[@]}\"; do\n"
    "        if [[ $line == :files ]]; then\n"
    "            files=1\n"
    "        elif [[ -n $line ]]; then\n"
    "            values+=(\"${line%%$'\\t'*}\")\n"
    "            shown+=(\"${line/$'\\t'/  }\")\n"
    "        fi\n"
    "    done\n"
    "    [[ -z $files ]] || _files\n"
    "    (( $#values == 0 )) || compadd -l -d shown -a values\n"
    "}\n"
    "if [[ ${funcstack[1]} == _postern ]]; then\n"
    "    _postern \"$@\"\n"
    "else\n"
    "    compdef _postern postern\n"
    "fi\n";

static const char fish_script[] =
    "# postern completion fish: source this, or put it into completions/postern.fish.\n"
    "function __postern_complete\n"
    "    set -l words (commandline -opc)\n"
    "    set -l last (commandline -ct)\n"
    "    set -e words[1]\n"
    "    for line in (command postern __complete -- $words \"$last\" 2>/dev/null)\n"
    "        if test \"$line\" = :files\n"
    "            __fish_complete_path \"$last\"\n"
    "        else\n"
    "            printf '%s\\n' $line\n"
    "        end\n"
    "    end\n"
    "end\n"
    "complete -c postern -f -a '(__postern_complete)'\n";

static const struct {
    const char *shell;
    const char *script;
} scripts[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};

static err_t completion_run(struct cli *cli, const struct arguments *arguments) {
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        if (strcmp(arguments->words[0], scripts[i].shell) == 0) {
            (void)fputs(scripts[i].script, stdout);
            return OK;
        }
    }
    return trouble_set(&cli->trouble, EXIT_USAGE, "%s: there are bash, zsh and fish",
                       arguments->words[0]);
}

/* Whatever goes wrong, the shell gets fewer words and the person no message at the prompt. */
static err_t complete_run(struct cli *cli, const struct arguments *arguments) {
    if (arguments->command_count == 0) {
        return OK;
    }
    struct want want = want_of(&command_root, command_shared_options, arguments->command,
                               arguments->command_count);
    cli->site = want.site;
    ignore_err(candidates_print(cli, &want));
    return OK;
}

const struct command command_completion = {
    .name = "completion",
    .arguments = "bash|zsh|fish",
    .summary = "Print what your shell needs to complete postern's words",
    .details = "For this shell:  source <(postern completion bash)     (zsh likewise)\n"
               "                 postern completion fish | source\n"
               "Packages install it for every shell.",
    .words_min = 1,
    .words_max = 1,
    .run = completion_run,
};

const struct command command_complete = {
    .name = "__complete",
    .arguments = "-- WORD…",
    .summary = "What may stand for the last word; for the shell's completion",
    .takes_command = true,
    .hidden = true,
    .run = complete_run,
};
