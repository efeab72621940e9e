"""Makes sockets on the host that it stands on, for a test that stands elsewhere: a socket belongs to the network in
which it was made, whoever uses it. Ends when the test does. Imports nothing, to be there at once."""

import socket
import sys

print("here", flush=True)
test = socket.socket(fileno=int(sys.argv[1]))
while asked := test.recv(100).decode():
    what, host, port = asked.split()
    try:
        address = (host, int(port))
        made = socket.create_server(address) if what == "listen" else socket.create_connection(address, timeout=5)
        socket.send_fds(test, [b"yes"], [made.fileno()])
        made.close()
    except OSError as error:
        test.send(str(error).encode())
