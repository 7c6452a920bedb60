"""Does goodput stay flat when ten times the peak arrives? An open loop, three servers, one verdict."""
