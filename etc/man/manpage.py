"""manpage.py AERIE VERSION OUTPUT: writes aerie(1) from what the program itself says of its commands, so that there is one list of them."""
import os
import re
import subprocess
import sys
import time

aerie, version, output = sys.argv[1:]


def said(*args):
    env = {**os.environ, 'ASAN_OPTIONS': 'detect_leaks=0', 'NO_COLOR': '1'}
    return subprocess.run([aerie, *args], check=True, capture_output=True, text=True, env=env).stdout


def escape(text):
    """A line of text that mdoc takes as text."""
    text = text.rstrip().replace('\\', '\\e').replace('-', '\\-')
    return '\\&' + text if text[:1] in ('.', "'") else text


def literal(text):
    lines = [escape(line) or '\\&' for line in text.rstrip().splitlines()]
    return '.Bd -literal -offset indent -compact\n' + '\n'.join(lines) + '\n.Ed\n'


# The day of the sources where a build is to be repeatable.
day = time.gmtime(int(os.environ.get('SOURCE_DATE_EPOCH', time.time())))
date = time.strftime('%B ', day) + f'{day.tm_mday}, {day.tm_year}'
commands = re.findall(r'^ {2,}([a-z][a-z-]+) {2,}(\S.*)$', said('--help'), re.MULTILINE)
items = ''.join(f'.It Cm {name}\n{escape(what)}.\n{literal(said(name, "--help").removesuffix(what + chr(10)))}' for name, what in commands)
with open(output, 'w', encoding='utf-8') as out:
    out.write(f'''.Dd {date}
.Dt AERIE 1
.Os
.Sh NAME
.Nm aerie
.Nd self-hosted chat back end that streams the replies of agents
.Sh SYNOPSIS
.Nm
.Op Fl \\-config Ar file
.Op Ar command
.Op Ar options
.Sh DESCRIPTION
.Nm
takes a chat message, asks an agent (an n8n workflow or a model provider),
and streams the reply to the browser while it stores it.
Without a command it serves.
The other commands work beside a running server, on the same configuration.
This is version {version}.
.Pp
The commands are:
.Bl -tag -width Ds
{items}.El
.Sh ENVIRONMENT
Every key of the configuration has a name in the environment, such as
.Ev SERVER__PORT ;
.Ql aerie config
lists what is in force.
.Ev NAME_FILE
names a file that holds the value of
.Ev NAME .
.Bl -tag -width Ds
.It Ev SECRET_KEY
signs tokens and encrypts stored keys; at least 32 bytes in production.
.It Ev DATABASE_URL
.Ql postgresql://user:password@host/name ;
without it the data is in SQLite, below
.Ev DATA_DIR .
.It Ev NOTIFY_SOCKET
where systemd hears that the server is ready, reads its settings again, or ends.
.El
.Sh FILES
.Bl -tag -width Ds
.It Pa config.json , .env
settings, in the working directory:
.Pa /etc/aerie
under systemd.
.It Pa data
what is stored, unless
.Ev DATA_DIR
says otherwise:
.Pa /var/lib/aerie
under systemd.
.El
.Sh EXIT STATUS
0 done, 1 failed, 2 wrong usage.
.Sh ASYNCHRONOUS EVENTS
.Bl -tag -width Ds
.It Dv SIGHUP
reads the settings again, and opens the log file again.
.It Dv SIGTERM , SIGINT
lets running replies end, then exits; a second one exits at once.
.El
.Sh SEE ALSO
.Xr systemctl 1 ,
.Xr nginx 8
''')
