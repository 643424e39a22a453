# SPDX-License-Identifier: MIT
# Programs with semaphores of their own, and the mount that shows them.
# shellcheck shell=bash disable=SC2154,SC2016,SC2119,SC2120
load common
load semaphore

has() {
	"$@" >/dev/null 2>&1 || skip "there is none of: $*"
}

# Runs the script on standard input with the mount; complains if it fails or takes too long.
program() {
	run timeout -k 5 $((60 * SLOW)) "$@"
	echo "$output"
	[ "$status" = 0 ]
}

# Put before the Python programs: the side of the mount, by the shell.
PYTHON='
import errno, os, subprocess, sys, time
mount = sys.argv[1]

def shell(script, directory):
    """Something that waits, maybe."""
    return subprocess.Popen(["sh", "-c", script], cwd=directory)

def now(script, directory):
    return subprocess.check_output(["sh", "-c", script], cwd=directory, text=True, timeout=20).strip()

def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "never"
        time.sleep(0.02)

def waiters(count, directory):
    until(lambda: f"\nwaiters={count}\n" in "\n" + now("cat status", directory) + "\n")
'

@test "perl's IPC::Semaphore makes a set, and the mount takes part" {
	has perl -MIPC::Semaphore -e 1
	program perl - "$MNT/sysv/sem/0x00005e01" <<'END_OF_PERL'
use strict;
use warnings;
use Errno qw(EAGAIN EIDRM);
use IPC::Semaphore;
use IPC::SysV qw(IPC_CREAT IPC_EXCL IPC_NOWAIT SEM_UNDO);

my $directory = shift;
chdir '/';

sub is {
	my ($got, $expected) = @_;
	$got eq $expected or die "got '$got', expected '$expected' at line ", (caller)[2], "\n";
}

sub shell {
	my $output = `cd $directory && { $_[0]; } 2>&1`;
	chomp $output;
	return $output;
}

# The process that takes part.
sub child {
	my ($action) = @_;
	my $pid = fork // die;
	return $pid if $pid;
	$action->();
	exit 0;
}

sub until_true {
	my ($condition) = @_;
	for (1 .. 1000) {
		return if $condition->();
		select undef, undef, undef, 0.02;
	}
	die 'never, at line ', (caller)[2], "\n";
}

my $set = IPC::Semaphore->new(0x5e01, 3, 0640 | IPC_CREAT | IPC_EXCL) or die $!;
$set->setall(1, 20, 300) or die $!;
is(shell('cat values 2/value'), "1 20 300\n300");
is(shell(q(. ./status; echo $id $nsems $mode)), $set->id . ' 3 ' . shell(q(. ./status; echo $mode)));

# Perl reads what the mount changes.
shell('echo 5 >1/wait; echo 7 >2/post; echo >0/trywait; echo "0:4 2:-7" >op');
is(join(' ', $set->getall), '4 15 300');
shell('echo 0 15 9 >values; echo 8 >2/value');
is(join(' ', $set->getall), '0 15 8');

# The mount reads what Perl changes.
$set->op(1, -5, 0, 2, 2, 0) or die $!;
$set->setval(0, 6) or die $!;
is(shell('cat values'), '6 10 10');

# Perl wakes callers that wait through the mount, one for each thing to wait for,
$set->setall(0, 1, 0) or die $!;
my @jobs = map { my $script = $_; child(sub { shell($script) eq '' or exit 1 }) }
	'echo 2 >0/wait', 'echo >1/zero', ': >2/hold';
until_true(sub { $set->getncnt(0) == 1 && $set->getzcnt(1) == 1 && $set->getncnt(2) == 1 });
is(shell(q(. ./status; echo $waiters)), 3);
$set->op(0, 2, 0, 1, -1, 0, 2, 1, 0) or die $!;
for (@jobs) {
	waitpid $_, 0;
	is($?, 0);
}
until_true(sub { join(' ', $set->getall) eq '0 0 1' });
# and the other way round.
my $job = child(sub { $set->op(0, -3, 0, 1, -1, 0) or exit 1 });
until_true(sub { $set->getncnt(0) == 1 });
shell('echo "0:3 1:1" >op');
waitpid $job, 0;
is($?, 0);
is(shell('cat values'), '0 0 1');

# A hold keeps Perl out, and one with SEM_UNDO keeps the mount out until its process ends.
open my $hold, '>', "$directory/2/hold" or die $!;
is($set->op(2, -1, IPC_NOWAIT) ? 'taken' : $! + 0, EAGAIN);
close $hold;
until_true(sub { $set->getval(2) == 1 });
pipe my $told, my $tell or die;
$job = child(sub {
	$set->op(2, -1, SEM_UNDO) or exit 1;
	syswrite $tell, '.';
	sleep 60;
});
sysread $told, my $_byte, 1;
is(shell('(: >2/tryhold) 2>/dev/null || echo busy'), 'busy');
kill KILL => $job;
waitpid $job, 0;
is(shell(': >2/hold && echo had'), 'had');

# Removal through the mount ends Perl's wait.
$job = child(sub { exit($set->op(0, -1, 0) ? 1 : $! == EIDRM ? 0 : 2) });
until_true(sub { $set->getncnt(0) == 1 });
rmdir $directory or die $!;
waitpid $job, 0;
is($?, 0);
# Perl finds what the mount makes.
mkdir $directory or die $!;
$set = IPC::Semaphore->new(0x5e01, 1, 0) or die $!;
is(join(' ', $set->getall), 1);
$set->remove or die $!;
-e $directory and die 'it is still there';
END_OF_PERL
}

@test "python's sysv_ipc and the mount wait for each other" {
	has /usr/bin/python3 -c 'import sysv_ipc'
	program /usr/bin/python3 -c "$PYTHON"'
import sysv_ipc

key = 0x5e02
path = f"{mount}/sysv/sem/0x{key:08x}"
# Made by Python.
sem = sysv_ipc.Semaphore(key, sysv_ipc.IPC_CREX, mode=0o600, initial_value=2)
assert os.listdir(f"{mount}/sysv/sem") == [f"0x{key:08x}"]
assert now("cat 0/value", path) == "2"
sem.acquire()
assert now("cat 0/value", path) == "1"
assert now("echo >0/wait; cat values", path) == "0"
assert sem.value == 0
try:
    sem.acquire(0.1)
    sys.exit("taken")
except sysv_ipc.BusyError:
    pass

waiting = shell("echo >0/wait", path)
until(lambda: sem.waiting_for_nonzero == 1)
sem.release()
assert waiting.wait(20) == 0
assert sem.value == 0

waiting = shell("sleep 0.3; echo >0/post", path)
sem.acquire(20)
assert waiting.wait(20) == 0
assert sem.value == 0

# Waiting for zero, in both directions.
sem.value = 1
waiting = shell("echo >0/zero", path)
until(lambda: sem.waiting_for_zero == 1)
sem.acquire()
assert waiting.wait(20) == 0
sem.value = 1
waiting = shell("sleep 0.3; echo >0/wait", path)
sem.Z(20)
assert waiting.wait(20) == 0

# A lock that is held through the mount is given back when its holder is killed.
sem.value = 1
holder = shell("exec 9>0/hold; exec sleep 60", path)
until(lambda: sem.value == 0)
holder.kill()
sem.acquire(20)
holder.wait()

os.rmdir(path)
try:
    sem.release()
    sys.exit("it is still there")
except sysv_ipc.ExistentialError:
    pass

# Made by the mount.
os.mkdir(path)
sem = sysv_ipc.Semaphore(key)
assert sem.value == 1
sem.remove()
assert os.listdir(f"{mount}/sysv/sem") == []
' "$MNT"
}

@test "sem_open, sem_wait and sem_post and the mount wait for each other" {
	program /usr/bin/python3 -c "$PYTHON"'
import ctypes, threading

libc = ctypes.CDLL(None, use_errno=True)
libc.sem_open.restype = ctypes.c_void_p

def call(name, *arguments):
    result = getattr(libc, name)(*arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return result

def sem_open(name, flags=0, value=0):
    handle = libc.sem_open(name.encode(), flags, 0o600, value)
    if not handle:
        raise OSError(ctypes.get_errno(), name)
    return ctypes.c_void_p(handle)

def value(sem):
    result = ctypes.c_int()
    call("sem_getvalue", sem, ctypes.byref(result))
    return result.value

# Made by the library, and made by the mount.
for made in "library", "mount":
    path = f"{mount}/posix/sem/{made}"
    if made == "library":
        sem = sem_open("/library", os.O_CREAT | os.O_EXCL, 2)
    else:
        now("echo posix/sem/mount values=2 >create", mount)
        sem = sem_open("/mount")
    assert os.listdir(f"{mount}/posix/sem") == [made]
    assert now("cat value", path) == "2" and value(sem) == 2

    call("sem_wait", sem)
    assert now("cat value", path) == "1"
    assert now("echo >trywait; cat value", path) == "0"
    assert now("echo >trywait || echo busy", path) == "busy"
    try:
        call("sem_trywait", sem)
        sys.exit("taken")
    except OSError as error:
        assert error.errno == errno.EAGAIN
    assert now("echo 5 >post; echo 2 >wait; cat value", path) == "3" and value(sem) == 3
    assert now("echo 0 >value; cat value", path) == "0" and value(sem) == 0

    for script in "echo >wait", ": >hold":
        waiting = shell(script, path)
        waiters(1, path)
        call("sem_post", sem)
        assert waiting.wait(20) == 0
        waiters(0, path)
        if script == ": >hold":
            until(lambda: value(sem) == 1)
            call("sem_wait", sem)
        assert value(sem) == 0

    # Three wait on each side; six posts, from both sides, are enough.
    here = [threading.Thread(target=call, args=("sem_wait", sem)) for _ in range(3)]
    there = [shell("echo >wait", path) for _ in range(3)]
    for thread in here:
        thread.start()
    waiters(3, path)
    for _ in range(3):
        call("sem_post", sem)
        now("echo >post", path)
    for thread in here:
        thread.join(20)
        assert not thread.is_alive()
    assert [job.wait(20) for job in there] == [0, 0, 0]
    assert value(sem) == 0

    # A killed holder gives it back.
    call("sem_post", sem)
    holder = shell("exec 9>hold; exec sleep 60", path)
    until(lambda: value(sem) == 0)
    holder.kill()
    call("sem_wait", sem)
    holder.wait()

    if made == "library":
        # dash would not print the reason.
        waiting = subprocess.Popen(["bash", "-c", "echo >wait"], cwd=path, stderr=subprocess.PIPE, text=True)
        waiters(1, path)
        call("sem_unlink", b"/library")
        assert "Identifier removed" in waiting.communicate(timeout=20)[1]
    else:
        os.rmdir(path)
        try:
            sem_open("/mount")
            sys.exit("it is still there")
        except OSError as error:
            assert error.errno == errno.ENOENT
    call("sem_close", sem)
    assert os.listdir(f"{mount}/posix/sem") == []
' "$MNT"
}

@test "the semaphores of Python's multiprocessing" {
	has /usr/bin/python3 -c 'import _multiprocessing'
	program /usr/bin/python3 -c "$PYTHON"'
import _multiprocessing, multiprocessing

# The semaphores that it makes have no name any more,
lock = multiprocessing.Lock()
assert os.listdir(f"{mount}/posix/sem") == []
# but it can keep the name, and open an existing one, as it does in the processes it spawns.
SEMAPHORE = 1
path = f"{mount}/posix/sem/kept"
kept = _multiprocessing.SemLock(SEMAPHORE, 1, 9, "/kept", False)
assert now("cat value", path) == "1"
now("echo posix/sem/made values=0 >create", mount)
made = _multiprocessing.SemLock._rebuild(0, SEMAPHORE, 9, "/made")

for sem, path in (kept, path), (made, f"{mount}/posix/sem/made"):
    sem.release()
    before = sem._get_value()
    assert now("cat value", path) == str(before)
    assert now(f"echo {before} >wait; cat value", path) == "0"
    assert not sem.acquire(False)
    waiting = shell("echo >wait", path)
    waiters(1, path)
    sem.release()
    assert waiting.wait(20) == 0
    waiting = shell("sleep 0.3; echo >post", path)
    assert sem.acquire(True, 20)
    assert waiting.wait(20) == 0
    with_hold = shell("exec 9>hold; sleep 0.3", path)
    sem.release()
    until(lambda: with_hold.poll() == 0)
    assert sem.acquire(True, 20)
    os.rmdir(path)
' "$MNT"
}

@test "stress-ng works beside ls -lR, cat status and cat values" {
	local seen=0
	has stress-ng --version
	background stress-ng --quiet --temp-path "$BATS_TEST_TMPDIR" --sem 2 --sem-sysv 2 --timeout 5
	while running "$JOB"; do
		ls -lR "$MNT" >/dev/null 2>&1 || :
		cat "$MNT"/*/sem/*/status >"$BATS_TEST_TMPDIR/seen" 2>/dev/null || :
		! grep -q '^nsems=' "$BATS_TEST_TMPDIR/seen" || seen=$((seen + 1))
		cat "$MNT"/sysv/sem/*/values "$MNT"/sysv/sem/*/*/value >/dev/null 2>&1 || :
	done
	wait "$JOB"
	[ "$seen" -gt 0 ]
	ls -lR "$MNT" >/dev/null
}
