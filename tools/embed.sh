#!/bin/sh
# embed.sh NAME FILE… : a C array of the files' texts, ended by NULL, on standard output.
set -eu
name=$1
shift
printf 'extern const char *const %s[];\n\nconst char *const %s[] = {\n' "$name" "$name"
for file in "$@"; do
    printf '    /* %s */\n' "$(basename "$file")"
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/' "$file"
    printf '    ,\n'
done
printf '    (const char *)0,\n};\n'
