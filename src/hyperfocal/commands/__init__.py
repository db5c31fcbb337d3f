"""What the commands of the command line do, once their words are parsed. Imported late: these modules load torch."""
