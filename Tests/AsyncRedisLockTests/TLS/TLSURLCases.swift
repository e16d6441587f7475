import AsyncRedisLock

#if TLS
  let wellFormedTLSURLs: [WellFormedURL] = {
    let host = LockerConfiguration.Address.tcp(host: "h")
    func with(_ tls: LockerConfiguration.TLS) -> LockerConfiguration {
      .init(address: host, tls: tls)
    }
    let single: [WellFormedURL] = [
      .init("rediss://h", with(.init())),
      .init("REDISS://h", with(.init())),
      .init("valkeys://h", with(.init())),
      .init("rediss://h:6379", with(.init())),
      .init("rediss://h:6380", .init(address: .tcp(host: "h", port: 6380), tls: .init())),
      .init("rediss://:p@h/2", .init(address: host, password: "p", tls: .init(), database: 2)),
      .init("rediss://[::1]", .init(address: .tcp(host: "::1"), tls: .init())),
      // As Heroku, Aiven, Upstash, Azure and ElastiCache hand them out.
      .init(
        "rediss://:p0123@ec2-1-2-3-4.compute-1.amazonaws.com:6480",
        .init(
          address: .tcp(host: "ec2-1-2-3-4.compute-1.amazonaws.com", port: 6480),
          password: "p0123", tls: .init())),
      .init(
        "rediss://default:AVNS_x@redis-1-project.a.aivencloud.com:12345",
        .init(
          address: .tcp(host: "redis-1-project.a.aivencloud.com", port: 12345),
          username: "default", password: "AVNS_x", tls: .init())),
      .init(
        "rediss://default:AYNg@eu1-merry-cat-1.upstash.io:6379",
        .init(
          address: .tcp(host: "eu1-merry-cat-1.upstash.io"), username: "default",
          password: "AYNg", tls: .init())),
      .init(
        "rediss://:aBc%3D@name.redis.cache.windows.net:6380/0",
        .init(
          address: .tcp(host: "name.redis.cache.windows.net", port: 6380), password: "aBc=",
          tls: .init())),
      .init(
        "rediss://master.name.abc123.euw1.cache.amazonaws.com:6379",
        .init(address: .tcp(host: "master.name.abc123.euw1.cache.amazonaws.com"), tls: .init())),
      .init("rediss://h?cacert=/a.pem", with(.init(authoritiesPath: "/a.pem"))),
      .init("rediss://h?ssl_ca_certs=/a%20b.pem", with(.init(authoritiesPath: "/a b.pem"))),
      .init(
        "rediss://h?cert=c&key=k", with(.init(certificatePath: "c", privateKeyPath: "k"))),
      .init(
        "rediss://h?ssl_keyfile=k&ssl_certfile=c",
        with(.init(certificatePath: "c", privateKeyPath: "k"))),
      .init("rediss://h?sni=db.example", with(.init(serverName: "db.example"))),
    ]
    let several = ["rediss", "valkeys", "REDISS"].flatMap { scheme -> [WellFormedURL] in
      [
        .init(
          "\(scheme)+sentinel://a,b:1/m/2?cacert=/a.pem",
          .init(
            address: .sentinels([.init(host: "a"), .init(host: "b", port: 1)], primary: "m"),
            tls: .init(authoritiesPath: "/a.pem"), database: 2)),
        .init(
          "\(scheme)+cluster://a,b:1",
          .init(address: .cluster([.init(host: "a"), .init(host: "b", port: 1)]), tls: .init())),
      ]
    }
    return single + several
  }()

  let malformedTLSURLs: [MalformedURL] =
    [
      .init("REDISS://h:0", "port"),
      .init("REDISS://h/x", "database in the path"),
      .init("rediss://:hunter2@h?cacert=", "authoritiesPath must not be empty"),
      .init("rediss://:hunter2@h?cacert=a&cacert=b", "authorities a second time"),
      .init("rediss://:hunter2@h?cacert=a&ssl_ca_certs=b", "authorities a second time"),
      .init("rediss://:hunter2@h?cacert=%00", "authoritiesPath has a NUL"),
      .init("rediss://:hunter2@h?cert=c", "needs its private key"),
      .init("rediss://:hunter2@h?key=k", "needs its private key"),
      .init("rediss://:hunter2@h?sni=", "serverName"),
      .init("rediss://:hunter2@h?sni=a%20b", "serverName"),
      .init("rediss://:hunter2@h?sni=" + String(repeating: "n", count: 254), "serverName"),
    ]
    + ["cacert=a", "cert=c", "key=k", "sni=n", "ssl_ca_certs=a"].flatMap { pair in
      let name = pair.prefix { $0 != "=" }
      return [
        MalformedURL("redis://:hunter2@h?\(pair)", "query parameter \(name) needs TLS"),
        MalformedURL("unix://:hunter2@/s?\(pair)", "query parameter \(name) needs TLS"),
      ]
    }
    + [
      "insecure", "insecure_skip_verify", "skip_verify", "ssl_cert_reqs", "ssl_check_hostname",
      "tls_insecure", "verify", "verify_mode",
    ].map { name in
      MalformedURL("rediss://:hunter2@h?\(name)=none", "certificates are always verified")
    }
#else
  let wellFormedTLSURLs: [WellFormedURL] = []

  let malformedTLSURLs: [MalformedURL] = [
    .init("rediss://:hunter2@h", "TLS is not built in", .tlsUnavailable),
    .init("REDISS://h:0/x", "TLS is not built in", .tlsUnavailable),
    .init("valkeys://h", "TLS is not built in", .tlsUnavailable),
  ]
#endif
