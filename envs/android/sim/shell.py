def run(phone, command): return "", 0
