# refuse: 2: has no type
online = 0
