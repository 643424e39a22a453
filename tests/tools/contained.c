/* SPDX-License-Identifier: MIT */
/*
 * contained COMMAND [ARGUMENT...]: runs it with the system calls that containers have.
 *
 * Refuses what docker and podman refuse by default to root with CAP_SYS_ADMIN and CAP_SYS_PTRACE:
 * with EPERM, as they do. New privileges are left alone, since the container decides about them.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/personality.h>
#include <unistd.h>

static const char *const refused[] = {
	"acct",
	"add_key",
	"clock_adjtime",
	"clock_settime",
	"delete_module",
	"finit_module",
	"get_mempolicy",
	"init_module",
	"io_uring_enter",
	"io_uring_register",
	"io_uring_setup",
	"ioperm",
	"iopl",
	"kexec_file_load",
	"kexec_load",
	"keyctl",
	"mbind",
	"migrate_pages",
	"move_pages",
	"nfsservctl",
	"open_by_handle_at",
	"pivot_root",
	"reboot",
	"request_key",
	"set_mempolicy",
	"settimeofday",
	"swapoff",
	"swapon",
	"sysfs",
	"_sysctl",
	"userfaultfd",
	"ustat",
	"vhangup",
};

/* Allows the one personality that setarch -R asks for. */
static int refuse_personality(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(personality), 1,
				SCMP_A0(SCMP_CMP_EQ, ADDR_NO_RANDOMIZE, 0));
}

int main(int argc, char **argv)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int err = filter ? seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0) : -ENOMEM;

	for (size_t i = 0; !err && i < sizeof(refused) / sizeof(*refused); i++) {
		int call = seccomp_syscall_resolve_name(refused[i]);

		if (call != __NR_SCMP_ERROR)
			err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0);
	}
	if (!err)
		err = refuse_personality(filter);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	if (err || argc < 2) {
		fprintf(stderr, "contained: a filter can't be had (%d)\n", err);
		return 125;
	}
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}
