# shellcheck shell=bash
# AiiDA itself, in place of the story's workers: demo/story-aiida.sh sources this where POSTERN_AIIDA names the folder in which AiiDA
# is installed (./run interop). It computes on real Slurm, through the jump host, with certificates that are good for a minute.
world_environment+=("AIIDA_PATH=$world/laptop" "PYTHONWARNINGS=ignore::UserWarning" "PATH=$world/bin:$POSTERN_AIIDA/bin:/usr/bin:/bin")
version=$("$POSTERN_AIIDA/bin/pip" show aiida-core 2>/dev/null | awk '/^Version/ {print $2}')

# The sum of two numbers, by bash on the node. Prints it, and what the job's process ended as.
cat >"$world/laptop/add.py" <<'PYTHON'
import sys
from aiida import engine, load_profile, orm

load_profile()
computer = orm.load_computer(sys.argv[1])
code = orm.InstalledCode(computer=computer, filepath_executable="/bin/bash", default_calc_job_plugin="core.arithmetic.add")
builder = code.get_builder()
builder.x, builder.y = orm.Int(2), orm.Int(3)
builder.metadata.options.resources = {"num_machines": 1, "num_mpiprocs_per_machine": 1}
builder.metadata.options.withmpi = False
results, node = engine.run_get_node(builder)
print("sum:", results["sum"].value, "by job", node.get_job_id(), "exit", node.exit_status)
PYTHON

# The files that verdi takes, with a folder for the work that exists here.
configuration() { # FOLDER
    as_you "postern config --aiida target --output $1" >/dev/null 2>&1 && sed -i "s#^work_dir:.*#work_dir: $world/home/jdoe/aiida/#" "$world/laptop/$1/target-setup.yaml"
}
# Waits between connections are there for a centre's sake.
quickly() { # FOLDER
    sed -i 's/^safe_interval:.*/safe_interval: 1.0/' "$world/laptop/$1"/target-ssh*.yaml
}
tests_and_computes() { # COMPUTER
    step works "all [0-9]+ tests succeeded" "verdi computer test $1"
    step works "^sum: 5 by job [0-9]+ exit 0$" "python add.py $1   # core.arithmetic.add, on the node"
}

chapter "AiiDA $version, core.ssh_async by ssh itself: the key has a passphrase, and the agent signs"
step works "" "verdi presto --no-broker"
mkdir "$world/laptop/agent" "$world/laptop/file" && chown "$you_uid:$you_gid" "$world/laptop"/{agent,file}
must "postern config --aiida target" configuration agent
must "connections may follow each other closely" quickly agent
step works "Success" "verdi computer setup --config agent/target-setup.yaml" "verdi computer setup --non-interactive --config agent/target-setup.yaml"
step works "Success" "verdi computer configure core.ssh_async target --config agent/target-ssh_async.yaml" \
    "grep -x 'backend: \"openssh\"' agent/target-ssh_async.yaml &&
    verdi computer configure core.ssh_async target --non-interactive --config agent/target-ssh_async.yaml"
tests_and_computes target

chapter "The same by asyncssh, and core.ssh by paramiko: the key lies in its file without a passphrase; what it may do is the grant's"
step works "" "ssh-keygen -p -N '' -f ~/.ssh/aiida" "ssh-keygen -q -p -P '$demo_password' -N '' -f .ssh/aiida && ssh-add -qD"
must "postern config --aiida target" configuration file
must "connections may follow each other closely" quickly file
step works "Success" "verdi computer configure core.ssh_async target --config file/target-ssh_async.yaml" \
    "grep -x 'backend: \"asyncssh\"' file/target-ssh_async.yaml &&
    verdi computer configure core.ssh_async target --non-interactive --config file/target-ssh_async.yaml"
tests_and_computes target
step works "Success" "verdi computer setup --label paramiko --transport core.ssh --config file/target-setup.yaml" \
    "sed 's/^label:.*/label: paramiko/; s/core.ssh_async/core.ssh/' file/target-setup.yaml >file/paramiko.yaml &&
    verdi computer setup --non-interactive --config file/paramiko.yaml"
cp "$world/laptop/known_hosts.plain" "$world/laptop/.ssh/known_hosts" && chown "$you_uid:$you_gid" "$world/laptop/.ssh/known_hosts"
step works "Success" "verdi computer configure core.ssh paramiko --config file/target-ssh.yaml" \
    "verdi computer configure core.ssh paramiko --non-interactive --config file/target-ssh.yaml"
# paramiko runs no script before it connects.
step works "all [0-9]+ tests succeeded" "postern-refresh && verdi computer test paramiko"
