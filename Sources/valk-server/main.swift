print("valk-server")
