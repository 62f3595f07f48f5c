"""The management API, as far as it is served: an app with one environment, its flags, its users and companies.

Source: MSDK (the vendor's management SDK for version 3.1.0 of the API: paths, bodies, answers), DOC' (what they mean),
CLI (the three calls of the command line, which no document names).
"""
