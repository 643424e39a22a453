# SPDX-License-Identifier: MIT
# The completions of bash, zsh and fish, as the shells themselves use them. No mount is needed.
# shellcheck shell=bash disable=SC2154,SC2016
load common

setup() {
	common_setup
	HERE=$(realpath "$BATS_TEST_DIRNAME/../../completions")
	ln -s ipcfs "$BATS_TEST_TMPDIR/bin/mount.ipcfs"
	cd "$BATS_TEST_TMPDIR" || return
	: >settings.conf
}

# after SHELL LINE: prints, sorted, what the last word of LINE may become.
after() {
	local got
	case $1 in
	bash) got=$("$BATS_TEST_DIRNAME/completions.py" bash "$HERE/ipcfs.bash" "$2") ;;
	zsh) got=$("$BATS_TEST_DIRNAME/completions.py" zsh "$HERE/_ipcfs" "$2") ;;
	fish) got=$(fish -c 'source $argv[1]; complete -C $argv[2]' "$HERE/ipcfs.fish" "$2" | cut -f1) ;;
	esac
	# bash and zsh print the whole line; zsh has put the separator of a list behind the word.
	tr -s ' ' '\n' <<<"${got#"${2% *} "}" | sed 's/[,:]$//; /^$/d' | sort | paste -s -d ' '
}

# follow LINE EXPECTED [BASH]: asserts it for all three; bash prints it in another form.
follow() {
	local shell
	for shell in bash zsh fish; do
		echo "$shell, after: $1"
		if [ "$shell" = bash ]; then
			equals "$(after bash "$1")" "${3-$2}"
		else
			equals "$(after "$shell" "$1")" "$2"
		fi
	done
}

# The names of `ipcfs --help`, told apart in another way than the completions do.
options_of_help() {
	ipcfs --help | grep -oE -e '-o [a-z_]+=?|^    -o context.*for' | grep -oE '[a-z_]{2,}=?' | grep -vx for | sort -u | paste -s -d ' '
}

flags_of_help() {
	ipcfs --help | sed -n 's/^    \(-.*\)/ \1/p' | grep -oE ' --?[a-zA-Z]+' | tr -d ' ' | sort -u | paste -s -d ' '
}

@test "every option of --help follows -o, and none else" {
	[ "$(options_of_help | wc -w)" -ge 27 ]
	[[ " $(options_of_help) " == *' debug '*' nosymfollow '*' ro '*'rootcontext= '* ]]
	follow 'ipcfs -o ' "$(options_of_help)"
}

@test "ipcfs takes what --help has" {
	local option value
	for option in $(options_of_help); do
		case $option in
		*[a-z]) value= ;;
		max_* | rate= | target=) value=1 ;;
		allow_uid= | allow_gid=) value=root ;;
		audit=) value=syslog ;;
		audit_level=) value=all,audit=syslog ;;
		*) continue ;;
		esac
		"$BATS_TEST_TMPDIR/bin/mount.ipcfs" -f here "$MNT" -o "$option$value" || { echo "with $option"; return 1; }
	done
}

@test "every flag of --help follows a hyphen" {
	equals "$(flags_of_help)" "$(printf '%s\n' --help --upgrade --version -V -d -f -h -o -s | sort | paste -s -d ' ')"
	follow 'ipcfs -' "$(flags_of_help)"
}

@test "a list of options" {
	follow 'ipcfs -o ro,max_w' 'ro,max_waiters= ro,max_waiters_all='
	follow 'ipcfs -f -o hide,ro -o max_b' max_bytes=
}

@test "values" {
	follow 'ipcfs -o audit_level=' 'audit_level=all audit_level=change audit_level=deny' \
		'audit_level=all change deny'
	follow 'ipcfs -o ro,audit_level=c' 'ro,audit_level=change'
	follow 'ipcfs -o audit=sy' 'audit=syslog'
	follow 'ipcfs -o allow_uid=root:daem' 'allow_uid=root:daemon'
	follow 'ipcfs -o allow_gid=daem' 'allow_gid=daemon'
	follow 'ipcfs -o config=sett' 'config=settings.conf'
	follow 'ipcfs -o state=/usr/shar' 'state=/usr/share/' 'state=/usr/share'
}

@test "the mount point is a directory" {
	follow 'ipcfs /usr/shar' /usr/share/ /usr/share
	follow 'ipcfs here /usr/shar' /usr/share/ /usr/share
}

@test "bash: the function is registered, and needs no bash-completion" {
	equals "$(bash -c '. "$1" && complete -p ipcfs' - "$HERE/ipcfs.bash")" 'complete -F _ipcfs ipcfs'
	equals "$(bash -c 'set -u; . "$1"; compopt() { :; }
		COMP_LINE="ipcfs -o audit_level=d" COMP_POINT=${#COMP_LINE} COMP_WORDS=(ipcfs -o audit_level = d) COMP_CWORD=4
		_ipcfs ipcfs d =; printf "%s\n" "${COMPREPLY[@]}"' - "$HERE/ipcfs.bash")" deny
	# With other separators of words the whole word is replaced.
	equals "$(bash -c '. "$1"; compopt() { :; }; COMP_WORDBREAKS=" "
		COMP_LINE="ipcfs -o ro,audit_level=d" COMP_POINT=${#COMP_LINE}
		_ipcfs ipcfs ro,audit_level=d -o; printf "%s\n" "${COMPREPLY[@]}"' - "$HERE/ipcfs.bash")" ro,audit_level=deny
}

@test "an ipcfs that is not there completes to nothing, without a message" {
	rm "$BATS_TEST_TMPDIR/bin/ipcfs"
	local shell
	for shell in bash zsh; do
		equals "$(after "$shell" 'none/ipcfs -o ro')" ro
	done
}
