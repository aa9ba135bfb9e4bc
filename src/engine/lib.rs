//! Floor 1: machinery that knows bytes, files, sockets and time, and no mail
