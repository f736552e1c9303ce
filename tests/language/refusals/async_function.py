# refuse: 2: at module level
async def f() -> None:
    pass
