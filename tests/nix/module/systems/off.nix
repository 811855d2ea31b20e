# Not enabled: nothing at all.
{ }
