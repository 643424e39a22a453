# SPDX-License-Identifier: MIT
# Completion of ipcfs(1) in fish. The names of options are those that `ipcfs --help` prints.

# __ipcfs_names flags|options: prints the words that may follow, or those after -o.
function __ipcfs_names
    set -l program (string replace -r '^~' $HOME -- (commandline -opc)[1])
    for line in ($program --help 2>/dev/null)
        string match -q -- '    -*' $line; or continue
        set -l kind flags
        set -l names
        set -l words (string split -n ' ' -- $line)
        while set -q words[1]
            set -l word $words[1]
            set -e words[1]
            if test (string trim -r -c , -- $word) = -o
                set kind options
                continue
            end
            if test $kind = $argv[1]
                set -a names (string replace -r '=.*' = -- $word | string trim -r -c ,)
            end
            string match -q -- '*,' $word; or break
        end
        for name in $names
            printf '%s\t%s\n' $name "$words"
        end
    end
end

# __ipcfs_values NAME VALUE: prints what VALUE may become.
function __ipcfs_values
    switch $argv[1]
        case audit
            printf '%s\n' syslog journal audit
            string match -q -- '/*' $argv[2]; and __fish_complete_path $argv[2]
        case audit_level
            printf '%s\n' deny change all
        case hide
            printf '%s\n' yes no
        case state
            __fish_complete_directories $argv[2] ''
        case amqp config
            __fish_complete_path $argv[2]
        case target
            __fish_complete_pids
        case allow_uid allow_gid
            set -l before (string match -r '.*:' -- $argv[2])
            set -l names (__fish_complete_users)
            test $argv[1] = allow_gid; and set names (__fish_complete_groups)
            printf '%s\n' "$before"$names
    end
end

# Completes the last part of a list of options.
function __ipcfs_list
    set -l token (string replace -r -- '^-o' '' (commandline -ct))
    set -l before (string match -r -- '.*,' $token)
    set -l last (string replace -r -- '.*,' '' $token)
    if string match -q -- '*=*' $last
        set -l parts (string split -m 1 = -- $last)
        set -l values (__ipcfs_values $parts[1] $parts[2])
        test (count $values) -gt 0; and printf '%s\n' "$before$parts[1]="$values
    else
        set -l names (__ipcfs_names options)
        printf '%s\n' "$before"$names
    end
end

complete -c ipcfs -f
complete -c ipcfs -s o -x -d options -a '(__ipcfs_list)'
complete -c ipcfs -n 'string match -q -- "-*" (commandline -ct)' -a '(__ipcfs_names flags)'
complete -c ipcfs -n 'not string match -q -- "-*" (commandline -ct)' \
    -a '(__fish_complete_directories)'
