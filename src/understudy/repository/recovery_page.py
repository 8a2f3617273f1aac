RECOVERY_PAGE = "# wip"
