# refuse: 2: at module level
for i in range(3):
    pass
