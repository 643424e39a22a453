# SPDX-License-Identifier: MIT
# Completion of ipcfs(1) in bash. The names of options are those that `ipcfs --help` prints.
# shellcheck shell=bash

# _ipcfs_names flags|options PROGRAM: prints the words that may follow, or those after -o.
_ipcfs_names() {
	local words word kind
	while read -ra words; do
		[[ ${words[0]-} == -* ]] || continue
		kind=flags
		for word in "${words[@]}"; do
			if [ "${word%,}" = -o ]; then
				kind=options
				[ "$1" = options ] || printf '%s\n' -o
				continue
			fi
			# -h, --help: another name follows the comma.
			[ "$kind" != "$1" ] || case ${word%,} in
			*=*) printf '%s\n' "${word%%=*}=" ;;
			*) printf '%s\n' "${word%,}" ;;
			esac
			[[ $word == *, ]] || break
		done
	done < <("${2/#\~/$HOME}" --help 2>/dev/null)
}

# _ipcfs_values NAME VALUE: prints what VALUE may become.
_ipcfs_values() {
	local last=${2##*:}
	case $1 in
	audit)
		compgen -W 'syslog journal audit' -- "$2"
		[[ $2 != /* ]] || compgen -f -- "$2"
		;;
	audit_level) compgen -W 'deny change all' -- "$2" ;;
	hide) compgen -W 'yes no' -- "$2" ;;
	state) compgen -d -- "$2" ;;
	amqp | config) compgen -f -- "$2" ;;
	target) compgen -W "$(cd /proc && echo [0-9]*)" -- "$2" ;;
	allow_uid) compgen -u -P "${2%"$last"}" -- "$last" ;;
	allow_gid) compgen -g -P "${2%"$last"}" -- "$last" ;;
	esac
}

_ipcfs() {
	local line=${COMP_LINE:0:COMP_POINT} current previous list last cut match
	current=${line##*[[:space:]]}
	previous=${line%"$current"}
	previous=${previous%"${previous##*[![:space:]]}"}
	previous=${previous##*[[:space:]]}
	COMPREPLY=()
	if [ "$previous" != -o ] && [[ $current != -o?* ]]; then
		if [[ $current == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$(_ipcfs_names flags "$1" | sort -u)" -- "$current")
		else
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -d -- "$2")
		fi
		return
	fi
	list=${current%"${current##*,}"}
	last=${current##*,}
	if [ -z "$list" ] && [ "$previous" != -o ]; then
		list=-o
		last=${current#-o}
	fi
	compopt -o nospace
	if [[ $last == *=* ]]; then
		case ${last%%=*} in amqp | audit | state | config) compopt -o filenames ;; esac
		list+=${last%%=*}=
		mapfile -t COMPREPLY < <(_ipcfs_values "${last%%=*}" "${last#*=}")
	else
		mapfile -t COMPREPLY < <(compgen -W "$(_ipcfs_names options "$1")" -- "$last")
	fi
	# Readline replaces only what stands behind the last of its separators.
	cut=${current%"${current##*["${COMP_WORDBREAKS//[^=:]/}"]}"}
	[[ $COMP_WORDBREAKS == *[=:]* ]] || cut=
	for match in "${!COMPREPLY[@]}"; do
		COMPREPLY[match]=$list${COMPREPLY[match]}
		COMPREPLY[match]=${COMPREPLY[match]#"$cut"}
	done
}

complete -F _ipcfs ipcfs
