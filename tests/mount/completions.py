#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""completions.py bash|zsh FILE LINE

An interactive shell on a terminal reads the completions of FILE. A key then puts all that may follow
LINE in its place, and the next key writes the line to a file. Prints that line.
"""
import os
import pty
import select
import sys
import tempfile
import time

SLOW = int(os.environ.get('IPCFS_TEST_SLOW', '1'))
RC = {
    'bash': '''PS1='the-prompt '
. "$FILE"
bind '"\\C-xa": insert-completions'
print_line() { printf '%s' "$READLINE_LINE" >"$RESULT.new"; mv "$RESULT.new" "$RESULT"; }
bind -x '"\\C-xb": print_line'
''',
    'zsh': '''PS1='the-prompt '
fpath=("${FILE:h}" $fpath)
autoload -Uz compinit && compinit -u -D
zstyle ':completion:*' insert-unambiguous false
zle -C all-matches complete-word _generic
zstyle ':completion:all-matches::::' completer _all_matches _complete
zstyle ':completion:all-matches:*' insert true
print_line() { print -rn -- "$BUFFER" >"$RESULT.new"; mv "$RESULT.new" "$RESULT"; }
zle -N print_line
bindkey '^Xa' all-matches '^Xb' print_line
''',
}
ARGUMENTS = {'bash': ['bash', '--noprofile', '--rcfile', '{}/.bashrc', '-i'], 'zsh': ['zsh', '-d', '-i']}

shell, file, line = sys.argv[1:]
home = tempfile.mkdtemp()
result = home + '/result'
with open(home + ('/.bashrc' if shell == 'bash' else '/.zshrc'), 'w', encoding='utf-8') as rc:
    rc.write(RC[shell])
child, terminal = pty.fork()
if child == 0:
    os.environ.update(ZDOTDIR=home, FILE=file, RESULT=result, TERM='dumb', COLUMNS='1000')
    os.execvp(shell, [word.format(home) for word in ARGUMENTS[shell]])

seen = ''


def until(condition):
    global seen
    end = time.monotonic() + 20 * SLOW
    while not condition():
        if time.monotonic() > end:
            sys.exit('no answer: ' + seen)
        if select.select([terminal], [], [], 0.05)[0]:
            seen += os.read(terminal, 65536).decode(errors='replace')


until(lambda: 'the-prompt ' in seen)
os.write(terminal, (line + '\x18a\x18b').encode())
until(lambda: os.path.exists(result))
print(open(result, encoding='utf-8').read())
os.kill(child, 9)
os.waitpid(child, 0)
