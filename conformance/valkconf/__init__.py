"""Black-box conformance kit: a RESP client, case files, servers, a runner and a differential tester.

Only the Python standard library is used; nothing here knows how Valk works inside.
"""
