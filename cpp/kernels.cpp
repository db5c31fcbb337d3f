namespace hyperfocal::HYPERFOCAL_ISA {}
