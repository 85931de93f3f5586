print("valk-inspect")
