#!/usr/bin/env python3
"""install/slurm-array.sh on a Slurm of one machine: tasks are killed, cancelled and requeued, and every picture is there once.

    slurm.py DIM MODEL-FOLDER SCRIPT        exit status 77: Slurm or munge is not installed, or this is not root

The configuration, the keys and the daemons are the test's own, in a temporary folder and on free ports; nothing of a
Slurm that the machine may have is touched.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

DIM, MODEL, SCRIPT = [os.path.abspath(path) for path in sys.argv[1:4]]
PROGRAMS = ["munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol"]
TASKS, COUNT = 4, 16
CALL = ["--model", MODEL, "--class", "grass,lava", "--count", str(COUNT // 2), "--seed", "21", "--size", "128x128",
        "--steps", "8"]

# Jobs are plain processes; a requeued one may start at once.
CONFIGURATION = """ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1,bf_interval=1
ReturnToService=2
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=500 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def wait_for(what, condition, seconds=120):
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.05)
    return found


class Slurm:
    """The three daemons, as children of this process."""

    def __init__(self, folder):
        self.folder, self.daemons = folder, []
        self.environment = {**os.environ, "SLURM_CONF": os.path.join(folder, "slurm.conf"), "DIM": DIM}
        host = socket.gethostname().split(".")[0]
        ctld_port, slurmd_port = free_ports(2)
        for name in ("state", "spool"):
            os.mkdir(os.path.join(folder, name))
        self.write("munge.key", os.urandom(128), 0o600)
        version = tuple(map(int, self.call("slurmd", "-V").split()[-1].split(".")[:2]))
        # The older cannot do without a plug-in; this one, unused, touches nothing.
        self.write("cgroup.conf", b"CgroupPlugin=disabled\n" if version >= (23, 11) else b"CgroupPlugin=cgroup/v1\n")
        self.write("slurm.conf", CONFIGURATION.format(**locals()).encode())

    def write(self, name, data, mode=0o644):
        with open(os.path.join(self.folder, name), "wb", opener=lambda path, flags: os.open(path, flags, mode)) as f:
            f.write(data)

    def start(self):
        path = os.path.join
        files = [f"--{option}={path(self.folder, name)}" for option, name in (
            ("socket", "munge.socket"), ("key-file", "munge.key"), ("pid-file", "munged.pid"),
            ("log-file", "munged.log"), ("seed-file", "munged.seed"))]
        # A temporary folder is not where munged would have its key.
        self.daemon("munged", "--foreground", "--force", *files)
        wait_for("munged", lambda: os.path.exists(path(self.folder, "munge.socket")))
        self.daemon("slurmctld", "-D")
        self.daemon("slurmd", "-D")
        wait_for("an idle node", self.is_idle)

    def is_idle(self):
        for daemon in self.daemons:
            assert daemon.poll() is None, f"{daemon.args[0]} has ended"
        return "State=IDLE" in self.call("scontrol", "show", "node", check=False)

    def daemon(self, *command):
        with open(os.path.join(self.folder, command[0] + ".out"), "wb") as out:
            self.daemons.append(subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=out,
                                                 stderr=out, cwd=self.folder))

    def call(self, *command, check=True):
        done = subprocess.run(command, env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 or not check, (command, done)
        return done.stdout.strip()

    def stop(self):
        if len(self.daemons) == 3 and self.queue():
            self.call("scancel", "--user=root", check=False)
            try:
                wait_for("an empty queue", lambda: not self.queue(), 30)
            except TimeoutError as error:
                print("no", error, file=sys.stderr)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def logs(self):
        for name in sorted(os.listdir(self.folder)):
            if name.endswith((".log", ".out")):
                with open(os.path.join(self.folder, name), errors="replace") as f:
                    print(f"---- {name}\n" + "".join(f.readlines()[-30:]), file=sys.stderr)

    # ---- jobs: {task: state} of those that are not over

    def submit(self, pictures):
        os.makedirs(pictures, exist_ok=True)
        name = os.path.join(pictures, "{class}", "{item}.png")
        return self.call("sbatch", "--parsable", f"--array=1-{TASKS}", "--cpus-per-task=1", "--output=task-%a.out", SCRIPT,
                         *CALL, "-o", name)

    def queue(self):
        rows = self.call("squeue", "--array", "--noheader", "--format=%K %T", check=False).splitlines()
        return {int(row.split()[0]): row.split()[1] for row in rows}

    def process_of(self, job, task):
        """The number of the task's `dim`, which the script has become."""
        number = next(word.split("=")[1] for word in self.call("scontrol", "show", "job", f"{job}_{task}").split()
                      if word.startswith("JobId="))
        for row in self.call("scontrol", "listpids", number, check=False).splitlines()[1:]:
            try:
                with open(f"/proc/{row.split()[0]}/cmdline", "rb") as f:
                    words = f.read().split(b"\0")
            except OSError:
                continue
            if b"--shard" in words and words[words.index(b"--shard") + 1] == f"{task}/{TASKS}".encode():
                if os.path.basename(words[0]) == os.path.basename(DIM).encode():
                    return int(row.split()[0])
        return None

    def log(self, task):
        with open(os.path.join(self.folder, f"task-{task}.out")) as f:
            return f.read()


def pictures_in(folder):
    return sorted(os.path.join(where, name) for where, _, names in os.walk(folder) for name in names
                  if not name.startswith(".dim-"))


def contents(folder):
    found = {}
    for path in pictures_in(folder):
        with open(path, "rb") as f:
            found[os.path.relpath(path, folder)] = f.read()
    return found


def identities(folder):
    return {path: (os.stat(path).st_ino, os.stat(path).st_mtime_ns) for path in pictures_in(folder)}


def of_task(folder, task):
    """How many of a part's pictures are there."""
    names = [f"{c}/{k:04d}.png" for c in ("grass", "lava") for k in range(COUNT // 2)]
    return sum(os.path.exists(os.path.join(folder, name)) for name in names[task - 1::TASKS])


def check(slurm, folder):
    whole, pictures = os.path.join(folder, "whole"), os.path.join(folder, "pictures")
    subprocess.run([DIM, "sample", *CALL, "--threads", "1", "-o", os.path.join(whole, "{class}/{item}.png")], check=True)
    wanted = contents(whole)
    assert len(wanted) == COUNT

    job = slurm.submit(pictures)
    # Task 1 is killed by the system, then requeued by its owner; 2 is requeued while it runs, as by a task of higher
    # priority; 3 is cancelled, and made by the same line once more.
    process = wait_for("task 1", lambda: of_task(pictures, 1) and slurm.process_of(job, 1))
    os.kill(process, signal.SIGKILL)
    seen = identities(pictures)
    wait_for("task 1's end", lambda: 1 not in slurm.queue())
    slurm.call("scontrol", "requeue", f"{job}_1")
    wait_for("task 2", lambda: of_task(pictures, 2))
    if 2 in slurm.queue():
        slurm.call("scontrol", "requeue", f"{job}_2")
    wait_for("task 3", lambda: of_task(pictures, 3))
    slurm.call("scancel", f"{job}_3")
    wait_for("the array's end", lambda: not slurm.queue())
    made = identities(pictures)
    assert {path: made[path] for path in seen} == seen, "a picture was made twice"
    assert 0 < of_task(pictures, 1) == of_task(pictures, 2) == of_task(pictures, 4) == COUNT // TASKS, made
    assert "were there already" in slurm.log(1), slurm.log(1)

    missing = COUNT - len(made)
    slurm.submit(pictures)
    wait_for("the second array's end", lambda: not slurm.queue())
    again = identities(pictures)
    assert {path: again[path] for path in made} == made, "a picture was made twice"
    assert contents(pictures) == wanted, "not the pictures of a single run"
    assert slurm.log(4).strip().endswith(f"{COUNT // TASKS} of {COUNT // TASKS} were there already"), slurm.log(4)
    print(f"{COUNT} pictures, each made once; {missing} of them after a task had been cancelled")


def main():
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        print("skipped:", f"no {missing[0]}" if missing else "only root can run jobs")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        slurm = Slurm(folder)
        try:
            slurm.start()
            check(slurm, folder)
        except BaseException:
            slurm.logs()
            raise
        finally:
            slurm.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
