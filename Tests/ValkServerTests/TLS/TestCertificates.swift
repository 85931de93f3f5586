// Certificates and keys for tests of TLS, made once with `openssl req` and `openssl x509`; they end in a hundred years.
// Nothing else uses them.

import Testing
import ValkBase
import ValkTestSupport

@testable import ValkServer

/// All of them as files in a folder.
struct TestCertificates {
    private let folder = TemporaryFolder()

    init() throws {
        for (name, text) in Self.all {
            guard case .success = TextFile.replace(path(name), with: Array(text.utf8)) else {
                throw TestClient.Failure(message: "cannot write \(path(name))")
            }
        }
    }

    func path(_ name: String) -> String { "\(folder.path)/\(name).pem" }

    private static let all = [
        ("authority", authority),
        ("server", server),
        ("serverKey", serverKey),
        ("lockedKey", lockedKey),
        ("client", client),
        ("clientKey", clientKey),
        ("stranger", stranger),
        ("strangerKey", strangerKey),
    ]

    /// Who signs the certificates of the server and of clients.
    private static let authority = """
        -----BEGIN CERTIFICATE-----
        MIIBpzCCAU2gAwIBAgIUVkvmkNDNtcLCikTkaIIa7eZmwB0wCgYIKoZIzj0EAwIw
        KDESMBAGA1UECgwJVmFsayBUZXN0MRIwEAYDVQQDDAlBdXRob3JpdHkwIBcNMjYx
        MTMwMDIxMjM4WhgPMjEyNjExMDYwMjEyMzhaMCgxEjAQBgNVBAoMCVZhbGsgVGVz
        dDESMBAGA1UEAwwJQXV0aG9yaXR5MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
        HqsGPE/yKdLNAeNeYDSCBEnm0p46WnibHLI2SphItCFv5AFhgBqBts0vUBfeT9U3
        xest1odMh7Ecxh1kF6Xmh6NTMFEwHQYDVR0OBBYEFLr4ZTgndO/j5gs9a/6Y/UZy
        3JvkMB8GA1UdIwQYMBaAFLr4ZTgndO/j5gs9a/6Y/UZy3JvkMA8GA1UdEwEB/wQF
        MAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgdczu3wUxDIGKrCcWwcwJdP9HYbKFAPt4
        GS5/TQdTg9ICIQCyh9TzAD81N/oQJZwN3NlExzCn+2Eeh5/0s51Fd35oEA==
        -----END CERTIFICATE-----

        """

    /// For localhost and 127.0.0.1.
    private static let server = """
        -----BEGIN CERTIFICATE-----
        MIIBrzCCAVWgAwIBAgIUCfJ4lHiI6+GRxj6qEzMLlhYp/YEwCgYIKoZIzj0EAwIw
        KDESMBAGA1UECgwJVmFsayBUZXN0MRIwEAYDVQQDDAlBdXRob3JpdHkwIBcNMjYx
        MTMwMDIxMjM4WhgPMjEyNjExMDYwMjEyMzhaMCUxEjAQBgNVBAoMCVZhbGsgVGVz
        dDEPMA0GA1UEAwwGc2VydmVyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEshjF
        ygxYe9+rRx4x/KUyrIGfWaW1o9ncRh519JSjdypywh3kWqsiOG5yCASGge/zdn7D
        pyYIqCADr6WBT2q0UaNeMFwwGgYDVR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMB0G
        A1UdDgQWBBTEDP5AlBQnwpucS6kxrR1gcL9DAjAfBgNVHSMEGDAWgBS6+GU4J3Tv
        4+YLPWv+mP1Gctyb5DAKBggqhkjOPQQDAgNIADBFAiAO5dQ4SE4HVTCIe5mZfBpH
        qP8552sr0wB6mpZ0eBkMkgIhAO8S1JjB6M+qcL8UHzznHIYGC/FO57NmgW+trKnN
        3kwM
        -----END CERTIFICATE-----

        """

    private static let serverKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg5UH2h2PDOkFVcMon
        7rnUpoUv8VXVip809xghBbQxVCihRANCAASyGMXKDFh736tHHjH8pTKsgZ9ZpbWj
        2dxGHnX0lKN3KnLCHeRaqyI4bnIIBIaB7/N2fsOnJgioIAOvpYFParRR
        -----END PRIVATE KEY-----

        """

    /// The same key; "sesame" opens it.
    private static let lockedKey = """
        -----BEGIN EC PRIVATE KEY-----
        Proc-Type: 4,ENCRYPTED
        DEK-Info: AES-256-CBC,16ECEB9041DDF1AE3AB5C7467E969EDE

        BW06eMXa0AJIRkrazjwbotZX33f8jrUq09GJYoPbxOHL6nrpwBd2VWWN2O2lb08e
        YnP2XXI7zrEx/FtyT+IYEVo8ieWUeZ2bFcw6e3B0dQBvZjjorSGs8W8q+2QP7Zbm
        OcPZ4nhcF8+okZz8hRDQibpgXIlTaqpN8K2fu/qLsCk=
        -----END EC PRIVATE KEY-----

        """

    private static let client = """
        -----BEGIN CERTIFICATE-----
        MIIBrzCCAVWgAwIBAgIUCfJ4lHiI6+GRxj6qEzMLlhYp/YIwCgYIKoZIzj0EAwIw
        KDESMBAGA1UECgwJVmFsayBUZXN0MRIwEAYDVQQDDAlBdXRob3JpdHkwIBcNMjYx
        MTMwMDIxMjM4WhgPMjEyNjExMDYwMjEyMzhaMCUxEjAQBgNVBAoMCVZhbGsgVGVz
        dDEPMA0GA1UEAwwGY2xpZW50MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEP+wB
        HCv+CL+F9uIkxl9JMKaCUqvUPNAu/4KKyfhVcuEPhl2HUXr7bBKd1SXoZGR1JHqp
        24usUXuNZlcATCE4u6NeMFwwGgYDVR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMB0G
        A1UdDgQWBBSFI7b6yypNJ3QgV/kZrVUVofA/ETAfBgNVHSMEGDAWgBS6+GU4J3Tv
        4+YLPWv+mP1Gctyb5DAKBggqhkjOPQQDAgNIADBFAiB0+GkynkU8i+9c07W62IFJ
        yOqtqpBno3T0EYbAcLOznwIhAOW3rA+STVfj2XxABhwD87tVYtJFLwfHQSAIfH9v
        Rnfk
        -----END CERTIFICATE-----

        """

    private static let clientKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg8pr0XJN47rEDYKgO
        4i4jk2Jk5dkx8y1Po4Qb71BYblShRANCAAQ/7AEcK/4Iv4X24iTGX0kwpoJSq9Q8
        0C7/gorJ+FVy4Q+GXYdRevtsEp3VJehkZHUkeqnbi6xRe41mVwBMITi7
        -----END PRIVATE KEY-----

        """

    /// Signed by nobody but itself.
    private static let stranger = """
        -----BEGIN CERTIFICATE-----
        MIIBjjCCATWgAwIBAgIUGMTGMdSlpJ2QGpfb/ijen/xONL4wCgYIKoZIzj0EAwIw
        JzESMBAGA1UECgwJVmFsayBUZXN0MREwDwYDVQQDDAhzdHJhbmdlcjAgFw0yNjEx
        MzAwMjEyMzhaGA8yMTI2MTEwNjAyMTIzOFowJzESMBAGA1UECgwJVmFsayBUZXN0
        MREwDwYDVQQDDAhzdHJhbmdlcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABE3E
        SKp1MDhXyLnOCtB49YGj1zW7sPTO0bNAL3Y7T9Qio0Xls7TsUrYHEUr13FXPCh04
        wuYQD+BVXvCKH4biNxyjPTA7MBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAd
        BgNVHQ4EFgQU1HQFw7Hhk3D0Ra6gwSLxFwJWq9swCgYIKoZIzj0EAwIDRwAwRAIg
        DfivRZMTDA5HVV8qsU2i3CpU46wvFd4zj498DX+U2SMCIAEPo02y0+bBOBoWQTGQ
        P+pc3yjcEDmMTse2GnsJ86hj
        -----END CERTIFICATE-----

        """

    private static let strangerKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgNWNbQ5QJq7Bhc7j1
        ZbTS1J8brNuY3rTw1X2bj/bo4DShRANCAARNxEiqdTA4V8i5zgrQePWBo9c1u7D0
        ztGzQC92O0/UIqNF5bO07FK2BxFK9dxVzwodOMLmEA/gVV7wih+G4jcc
        -----END PRIVATE KEY-----

        """
}
