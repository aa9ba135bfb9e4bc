//! Floor 3: the doors: SMTP listeners, the admin socket, boot and the command line
