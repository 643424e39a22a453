/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backends/caller/impersonate.h"
#include "backends/caller/impersonate_child.h"
#include "backends/contract/caller.h"
#include "backends/contract/descriptor.h"
#include "backends/contract/fault.h"

/*
 * The child belongs to the caller as well, who may stop it or take its time. It is continued each
 * time, killed after a second, and left behind if it does not even end then, frozen perhaps.
 */
#define DEADLINE_MS 1000
#define KILLED_MS 500 /* after the deadline */
#define LOOK_MS 10    /* between two looks at a child that does not end */
#define LEFT_MAX 1024
#define LEFT_EACH 8 /* of one payer, who can hold them up by a lock of the kernel */

static atomic_bool enabled; /* set by ipcfs_impersonate_child_enable alone */

/* Children that were left behind, which have to be waited for when they end. */
static struct {
	pthread_mutex_t lock;
	struct {
		pid_t process;
		uid_t payer;
	} children[LEFT_MAX];
	size_t count;
} left = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* The memory that both processes share, with the argument of the work at its end. */
struct shared {
	size_t size; /* bytes of all of it */
	bool done;
	int result;
	_Alignas(max_align_t) unsigned char arg[];
};

/* The input of the child. The parent prepares it, as the child may not allocate. */
struct job {
	const struct ipcfs_child_terms *terms;
	int (*work)(void *arg);
	struct shared *shared;
	struct ipcfs_credentials own;
	int user_ns; /* -1: the child stays in the daemon's */
	pid_t daemon;
};

static void free_job(struct job *job)
{
	ipcfs_credentials_free(&job->own);
	ipcfs_descriptor_close(&job->user_ns);
	if (job->shared)
		(void)munmap(job->shared, job->shared->size); /* cannot fail: it is mapped */
}

void ipcfs_impersonate_child_enable(void)
{
	atomic_store(&enabled, true);
}

bool ipcfs_impersonate_child_joins(const struct ipcfs_caller *caller)
{
	return caller->loaded && caller->foreign &&
	       atomic_load_explicit(&enabled, memory_order_relaxed);
}

bool ipcfs_impersonate_child_knows(const struct ipcfs_caller *caller)
{
	return caller->loaded &&
	       (caller->user_ns || !atomic_load_explicit(&enabled, memory_order_relaxed));
}

/*
 * Opens the user namespace of the caller, and checks that it is the one in which the caller was
 * loaded: the tid may belong to another thread now.
 */
static int open_user_ns(const struct ipcfs_caller *caller, int *user_ns)
{
	char path[sizeof("/proc//ns/user") + 3 * sizeof(caller->tid)];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", caller->tid);
	*user_ns = open(path, O_RDONLY | O_CLOEXEC);
	if (*user_ns < 0)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -ENOMEM : -EPERM;
	return fstat(*user_ns, &st) || st.st_ino != caller->user_ns ? -EPERM : 0;
}

static int share_arg(struct job *job, const void *arg, size_t size)
{
	size_t all = sizeof(*job->shared) + size;
	void *shared = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return -errno;
	job->shared = shared;
	job->shared->size = all;
	if (size)
		memcpy(job->shared->arg, arg, size);
	return 0;
}

/* Closes all descriptors but the one of the user namespace to join; -1: closes all. */
static int close_all_but(int kept)
{
	if (kept < 0)
		return syscall(SYS_close_range, 0U, ~0U, 0) ? -errno : 0;
	if (kept > 0 && syscall(SYS_close_range, 0U, (unsigned)kept - 1, 0))
		return -errno;
	return syscall(SYS_close_range, (unsigned)kept + 1, ~0U, 0) ? -errno : 0;
}

static int set_rlimit(const struct rlimit *wanted)
{
	struct rlimit own, less = *wanted;

	if (!syscall(SYS_prlimit64, 0, RLIMIT_MSGQUEUE, wanted, NULL))
		return 0;
	/*
	 * Without CAP_SYS_RESOURCE the daemon's hard limit stays. The soft limit is never more than
	 * the caller's.
	 */
	if (syscall(SYS_prlimit64, 0, RLIMIT_MSGQUEUE, NULL, &own))
		return -errno;
	if (less.rlim_cur > own.rlim_max)
		less.rlim_cur = own.rlim_max;
	less.rlim_max = own.rlim_max;
	return syscall(SYS_prlimit64, 0, RLIMIT_MSGQUEUE, &less, NULL) ? -errno : 0;
}

/*
 * Keeps other processes from reading or tracing the child, which has a copy of the daemon's memory,
 * and makes it end with the daemon. The kernel resets both when ids change.
 */
static int protect_child(const struct job *job)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return -errno;
	return getppid() == job->daemon ? 0 : -ESRCH; /* else it has ended before */
}

/*
 * Calls that no work makes: of sockets, of other processes' memory, of namespaces and mounts, of
 * ids, and those that use an object. The daemon's own filter allows them.
 */
static const int refused[] = {
#ifdef SYS_socket
	SYS_socket,    SYS_socketpair,	     SYS_connect,
	SYS_sendto,    SYS_sendmsg,	     SYS_recvfrom,
	SYS_recvmsg,
#endif
#ifdef SYS_semop
	SYS_semop,     SYS_msgsnd,	     SYS_msgrcv,
	SYS_shmat,
#endif
	SYS_setns,     SYS_umount2,	     SYS_setgroups,
	SYS_setresgid, SYS_setresuid,	     SYS_capset,
	SYS_ioctl,     SYS_process_vm_readv, SYS_process_vm_writev,
};

#define REFUSED (sizeof(refused) / sizeof(refused[0]))

/* Refuses those calls from here on. A kernel without filters goes on without. */
static int refuse_calls(void)
{
	enum { ALLOW = REFUSED + 1, REFUSE, SIZE };
	struct sock_filter filter[SIZE] = {
		[0] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		[ALLOW] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		[REFUSE] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	};
	const struct sock_fprog program = { .len = SIZE, .filter = filter };

	for (size_t i = 0; i < REFUSED; i++)
		filter[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							     (uint32_t)refused[i],
							     (uint8_t)(REFUSE - i - 2), 0);
	/* the daemon has set it already, and its filter refuses the call */
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) && errno != EINVAL &&
	    errno != ENOSYS)
		return -errno;
	return 0;
}

/*
 * Runs in the child. It makes system calls only: the other threads of the daemon were not copied,
 * and a lock that one of them holds is never released here. All signals are blocked but SIGKILL and
 * SIGSTOP.
 */
static int child_main(const struct job *job)
{
	const struct ipcfs_child_terms *terms = job->terms;
	int error;

	(void)ipcfs_fault("child.begun");
	error = protect_child(job);
	if (!error && terms->bare)
		error = close_all_but(job->user_ns);
	if (!error && terms->queues)
		error = set_rlimit(terms->queues);
	if (!error)
		error = ipcfs_impersonate_for_good(terms->caller, &job->own, job->user_ns,
						   terms->keeps_capabilities);
	if (!error)
		error = protect_child(job);
	if (!error)
		error = refuse_calls();
	if (error)
		return error;
	return job->work(job->shared->arg);
}

/* Waits for those left behind that have ended. Returns whether the payer may leave another one. */
static bool reap_left(uid_t payer)
{
	size_t same = 0;
	bool room;

	pthread_mutex_lock(&left.lock);
	for (size_t i = left.count; i > 0; i--)
		if (waitpid(left.children[i - 1].process, NULL, __WALL | WNOHANG))
			left.children[i - 1] = left.children[--left.count];
		else
			same += left.children[i - 1].payer == payer;
	room = left.count < LEFT_MAX && same < LEFT_EACH;
	pthread_mutex_unlock(&left.lock);
	return room;
}

static void leave_behind(pid_t child, uid_t payer)
{
	pthread_mutex_lock(&left.lock);
	/* else it stays a zombie: several threads have left one at once */
	if (left.count < LEFT_MAX) {
		left.children[left.count].process = child;
		left.children[left.count++].payer = payer;
	}
	pthread_mutex_unlock(&left.lock);
}

static long long now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Waits a moment for the end of the child. pidfd: of the child, or -1. */
static void pause_for(int pidfd)
{
	struct pollfd end = { .fd = pidfd, .events = POLLIN };

	(void)poll(&end, 1, pidfd < 0 ? 1 : LOOK_MS);
}

/*
 * Waits for the end of the child, until the deadline.
 * -EINTR: a signal has killed it, perhaps the caller's, or it was killed at the deadline.
 */
static int wait_for_child(pid_t child, uid_t payer)
{
	IPCFS_DESCRIPTOR_AUTO int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	const long long deadline = now_ms() + DEADLINE_MS;

	for (;;) {
		int result;
		pid_t changed = waitpid(child, &result, __WALL | WUNTRACED | WNOHANG);

		if (changed < 0 && errno != EINTR)
			return -errno;
		if (changed > 0 && WIFEXITED(result))
			return 0;
		if (changed > 0 && WIFSIGNALED(result))
			return -EINTR;
		if (changed > 0 && WIFSTOPPED(result))
			(void)kill(child, SIGCONT);
		if (changed == 0)
			pause_for(pidfd);
		if (now_ms() < deadline)
			continue;
		(void)kill(child, SIGKILL);
		if (now_ms() >= deadline + KILLED_MS) {
			leave_behind(child, payer);
			return -EINTR;
		}
	}
}

static int run_child(const struct job *job)
{
	const struct ipcfs_caller *caller = job->terms->caller;
	uid_t payer = ipcfs_authority_payer(caller->tid, caller->uid);
	sigset_t all, before;
	int error;
	pid_t child;

	if (!reap_left(payer))
		return -EAGAIN;
	/* No signal handler of the daemon may run in the child. */
	(void)sigfillset(&all);
	error = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error)
		return -error;
	child = fork();
	if (!child) {
		job->shared->result = child_main(job);
		job->shared->done = true;
		_exit(0);
	}
	error = child < 0 ? -errno : 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* cannot fail: a valid mask */
	if (!error)
		error = wait_for_child(child, payer);
	if (!error && !job->shared->done)
		error = -EINTR;
	return error ? error : job->shared->result;
}

int ipcfs_impersonate_child(const struct ipcfs_child_terms *terms, int (*work)(void *arg),
			    void *arg, size_t size)
{
	__attribute__((cleanup(free_job))) struct job job = {
		.terms = terms,
		.work = work,
		.user_ns = -1,
		.daemon = getpid(),
	};
	int result = 0;

	if (!ipcfs_impersonate_child_knows(terms->caller))
		return -EPERM;
	if (ipcfs_impersonate_child_joins(terms->caller))
		result = open_user_ns(terms->caller, &job.user_ns);
	if (!result)
		result = ipcfs_credentials_read(&job.own);
	if (!result)
		result = share_arg(&job, arg, size);
	if (result)
		return result;
	result = run_child(&job);
	if (size)
		memcpy(arg, job.shared->arg, size);
	return result;
}
