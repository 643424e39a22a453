/* SPDX-License-Identifier: MIT */
#include "fs/daemon/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "backends/contract/descriptor.h"
#include "fs/base/clock.h"
#include "fs/base/log.h"
#include "fs/daemon/upgrade_program.h"
#include "fs/daemon/upgrade_socket.h"

#define CHECK_NS (5ULL * 1000 * 1000 * 1000) /* a program that has not answered then is refused */
#define SAID_SIZE 400			     /* bytes of its last line that are passed on */

enum { LISTENER, CHECKER };

void ipcfs_upgrade_init(struct ipcfs_upgrade *upgrade, struct ipcfs_handover *state,
			char **arguments)
{
	*upgrade = (struct ipcfs_upgrade){
		.state = state,
		.arguments = arguments,
		.image = open("/proc/self/exe", O_PATH | O_CLOEXEC),
		.fresh = -1,
		.checking = -1,
		.answer = -1,
	};
}

void ipcfs_upgrade_listen(struct ipcfs_upgrade *upgrade, dev_t device)
{
	int fd = upgrade->state->listener;

	if (fd >= 0 || !device)
		return;
	fd = ipcfs_upgrade_socket_listen(device);
	if (fd < 0)
		ipcfs_log(LOG_NOTICE, "ipcfs --upgrade can't be asked for: %s", strerror(-fd));
	upgrade->state->listener = fd < 0 ? -1 : fd;
}

void ipcfs_upgrade_leave(struct ipcfs_upgrade *upgrade)
{
	struct ipcfs_handover *state = upgrade->state;

	ipcfs_descriptor_close(&state->listener);
	ipcfs_descriptor_close(&state->client);
	ipcfs_descriptor_close(&state->legacy); /* it is mapped, as the next one */
	ipcfs_descriptor_close(&state->holds);
	ipcfs_descriptor_close(&state->image);
	ipcfs_descriptor_close(&upgrade->image);
	ipcfs_descriptor_close(&upgrade->fresh);
	ipcfs_descriptor_close(&upgrade->checking);
	ipcfs_descriptor_close(&upgrade->answer);
}

void ipcfs_upgrade_end(struct ipcfs_upgrade *upgrade, dev_t device)
{
	if (upgrade->state->listener >= 0)
		ipcfs_upgrade_socket_remove(device);
	ipcfs_upgrade_leave(upgrade);
}

/* Answers a client, which may have gone, and closes its socket. */
__attribute__((format(printf, 3, 4))) static void answer(int *client, bool done, const char *format,
							 ...)
{
	char text[IPCFS_UPGRADE_ANSWER];
	va_list args;

	text[0] = done ? '0' : '1';
	va_start(args, format);
	(void)vsnprintf(text + 1, sizeof(text) - 1, format, args);
	va_end(args);
	ipcfs_log(done ? LOG_NOTICE : LOG_ERR, "upgrade: %s", text + 1);
	if (*client >= 0)
		(void)send(*client, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	ipcfs_descriptor_close(client);
}

/* Accepts a client. Returns it if it may ask now, else -1. */
static int accept_client(struct ipcfs_upgrade *upgrade)
{
	int client = accept4(upgrade->state->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	uid_t user;

	if (client < 0)
		return -1;
	user = ipcfs_upgrade_socket_user(client);
	if (user != 0 && user != geteuid())
		answer(&client, false, "only root and the user who mounted may do that");
	else if (upgrade->refusal)
		answer(&client, false, "%s", upgrade->refusal);
	else if (upgrade->state->holds < 0)
		answer(&client, false, "there is no file in memory for its holds");
	else if (upgrade->state->client >= 0 || upgrade->checking >= 0 || upgrade->trial)
		answer(&client, false, "another upgrade is under way");
	return client;
}

/* Ends an upgrade before anything has changed. */
static void refuse(struct ipcfs_upgrade *upgrade, const char *why)
{
	ipcfs_descriptor_close(&upgrade->fresh);
	answer(&upgrade->state->client, false, "%s: %s; nothing has changed",
	       upgrade->state->program, why);
}

/* Returns the last line of what the program has said, without the newline. */
static const char *last_line(char *said)
{
	size_t size = strlen(said);
	char *line;

	while (size > 0 && said[size - 1] == '\n')
		said[--size] = '\0';
	line = strrchr(said, '\n');
	return line ? line + 1 : said;
}

/* Judges what the program has said. Returns whether it can be executed. */
static bool judge(struct ipcfs_upgrade *upgrade, int status, bool late)
{
	char said[4096], why[SAID_SIZE + 64];
	ssize_t size = read(upgrade->answer, said, sizeof(said) - 1);
	const char *line;

	said[size > 0 ? size : 0] = '\0';
	line = last_line(said);
	if (!late && WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
	    strncmp(line, IPCFS_UPGRADE_YES, strlen(IPCFS_UPGRADE_YES)) == 0)
		return true;
	if (late)
		(void)snprintf(why, sizeof(why), "it did not answer in time");
	else if (WIFSIGNALED(status))
		(void)snprintf(why, sizeof(why), "it was ended by signal %d", WTERMSIG(status));
	else if (*line)
		(void)snprintf(why, sizeof(why), "it can't take over: %.*s", SAID_SIZE, line);
	else
		(void)snprintf(why, sizeof(why), "it can't take over (exit status %d)",
			       WEXITSTATUS(status));
	refuse(upgrade, why);
	return false;
}

/* Ends the process that checks, if it has not ended, and what it has left. Returns its status. */
static int reap_checker(struct ipcfs_upgrade *upgrade)
{
	if (!upgrade->checker)
		return upgrade->status;
	/* of a process that has ended, and was not waited for, this changes nothing */
	(void)kill(upgrade->checker, SIGKILL);
	(void)kill(-upgrade->checker, SIGKILL);
	while (waitpid(upgrade->checker, &upgrade->status, 0) < 0 && errno == EINTR)
		;
	upgrade->checker = 0;
	return upgrade->status;
}

bool ipcfs_upgrade_reap(struct ipcfs_upgrade *upgrade, pid_t process)
{
	if (process != upgrade->checker)
		return false;
	(void)reap_checker(upgrade);
	return true;
}

/* Ends the check. Returns whether the program can be executed. */
static bool end_check(struct ipcfs_upgrade *upgrade, bool late)
{
	bool may = judge(upgrade, reap_checker(upgrade), late);

	ipcfs_descriptor_close(&upgrade->checking);
	ipcfs_descriptor_close(&upgrade->answer);
	return may;
}

static void begin_check(struct ipcfs_upgrade *upgrade)
{
	const char *why = NULL;
	int file;

	upgrade->fresh = ipcfs_upgrade_program_open(upgrade->state->program, &why);
	if (upgrade->fresh < 0) {
		refuse(upgrade, why);
		return;
	}
	file = ipcfs_handover_write(upgrade->state);
	if (file >= 0)
		upgrade->checker = ipcfs_upgrade_program_check(
			upgrade->fresh, upgrade->state, file, upgrade->arguments, &upgrade->answer);
	if (file < 0 || upgrade->checker < 0)
		why = strerror(file < 0 ? -file : -upgrade->checker);
	ipcfs_descriptor_close(&file);
	if (why) {
		refuse(upgrade, why);
		return;
	}
	upgrade->checking = (int)syscall(SYS_pidfd_open, upgrade->checker, 0);
	upgrade->limit = ipcfs_clock_ns() + CHECK_NS;
	if (upgrade->checking < 0) {
		why = strerror(errno);
		(void)reap_checker(upgrade);
		ipcfs_descriptor_close(&upgrade->answer);
		refuse(upgrade, why);
	}
}

uint64_t ipcfs_upgrade_events(const struct ipcfs_upgrade *upgrade,
			      struct pollfd events[IPCFS_UPGRADE_EVENTS])
{
	events[LISTENER] = (struct pollfd){ .fd = upgrade->state->listener, .events = POLLIN };
	events[CHECKER] = (struct pollfd){ .fd = upgrade->checking, .events = POLLIN };
	return upgrade->checking >= 0 ? upgrade->limit : 0;
}

bool ipcfs_upgrade_serve(struct ipcfs_upgrade *upgrade,
			 const struct pollfd events[IPCFS_UPGRADE_EVENTS])
{
	int client;

	if (upgrade->checking >= 0) {
		bool late = ipcfs_clock_ns() >= upgrade->limit;

		if ((events[CHECKER].revents || late) && end_check(upgrade, late))
			return true;
	}
	client = events[LISTENER].revents ? accept_client(upgrade) : -1;
	if (client >= 0) {
		upgrade->state->client = client;
		begin_check(upgrade);
	}
	return false;
}

void ipcfs_upgrade_execute(struct ipcfs_upgrade *upgrade)
{
	struct ipcfs_handover *state = upgrade->state;
	int err;

	state->image = upgrade->image;
	err = ipcfs_upgrade_program_execute(upgrade->fresh, state, upgrade->arguments);
	state->image = -1;
	refuse(upgrade, strerror(-err));
}

void ipcfs_upgrade_go_back(struct ipcfs_upgrade *upgrade, const char *why)
{
	struct ipcfs_handover *state = upgrade->state;
	int before = state->image, err;

	ipcfs_log(LOG_ERR, "upgrade: %s: the program before goes on", why);
	state->back = true;
	state->why = strdup(why);
	state->image = upgrade->image;
	err = ipcfs_upgrade_program_execute(before, state, upgrade->arguments);
	answer(&state->client, false, "%s: %s, and the program before can't be executed: %s",
	       state->program, why, strerror(-err));
	state->back = false;
	upgrade->trial = false;
	state->image = before;
}

void ipcfs_upgrade_ready(struct ipcfs_upgrade *upgrade)
{
	struct ipcfs_handover *state = upgrade->state;

	if (!upgrade->taken)
		return;
	if (state->back)
		answer(&state->client, false, "%s: %s; the program before serves the mount again",
		       state->program, state->why ? state->why : "it has failed");
	else
		answer(&state->client, true, "served by ipcfs %s, %s", IPCFS_VERSION,
		       state->program);
	state->back = false;
	upgrade->taken = upgrade->trial = false;
	ipcfs_descriptor_close(&state->image);
}
