/// How a ``Locker`` reaches its server, and what it keeps there.
public struct LockerConfiguration: Sendable, Hashable {
  /// Where a server listens.
  public enum Address: Sendable, Hashable {
    /// A TCP port; `host` is a name, an IPv4 address, or an IPv6 address without brackets.
    case tcp(host: String, port: UInt16 = 6379)
    /// A Unix-domain socket at a path in the file system.
    case unixSocket(path: String)
  }

  /// Where the server listens; `127.0.0.1:6379` by default.
  public var address: Address
  /// The ACL user to log in as, or `nil` for the server's default user; `nil` by default.
  public var username: String?
  /// The password to log in with, or `nil` not to log in; `nil` by default.
  public var password: Password?
  /// The number of the database that holds the locks; 0 by default.
  public var database: Int
  /// The name that `CLIENT LIST` shows for the connection; `async-redis-lock` by default.
  public var clientName: String
  /// How long a connection may take to be ready for commands; 1 s by default.
  public var connectTimeout: Duration
  /// How long the server may take to answer a command; 1 s by default.
  ///
  /// Commands of a lock are bounded by the smaller of this and the lock's ttl.
  public var operationTimeout: Duration
  /// What the names of this library's own keys and channels begin with; `redis-lock:` by default.
  ///
  /// The keys of locks are used as they are.
  public var keyPrefix: String
  /// Whether every lock draws a fencing token; `true` by default.
  ///
  /// Without it ``Lock/fencingToken`` is `nil`, and taking a lock costs the server less.
  public var isFencingEnabled: Bool
  /// How many tasks may wait for the same keys in this locker, or `nil` for any number; `nil` by default.
  ///
  /// One more throws ``LockError/Code/tooManyWaiters`` at once.
  public var maxWaiters: Int?
  /// How many times in a row a lock may pass from task to task within this locker, without the server
  /// and past others that wait there; 15 by default, 0 for never.
  ///
  /// Handing on in the process takes microseconds, and a trip to the server every now and then costs
  /// little; what others wait longer is this number times the time that a task holds the lock.
  public var localHandoffLimit: Int
  /// A word for people who look at the server, stored with each lock; `nil` by default.
  public var label: String?

  /// Creates a configuration; every argument has the default of the property of its name.
  public init(
    address: Address = .tcp(host: "127.0.0.1"),
    username: String? = nil,
    password: Password? = nil,
    database: Int = 0,
    clientName: String = "async-redis-lock",
    connectTimeout: Duration = .seconds(1),
    operationTimeout: Duration = .seconds(1),
    keyPrefix: String = "redis-lock:",
    isFencingEnabled: Bool = true,
    maxWaiters: Int? = nil,
    localHandoffLimit: Int = 15,
    label: String? = nil
  ) {
    self.address = address
    self.username = username
    self.password = password
    self.database = database
    self.clientName = clientName
    self.connectTimeout = connectTimeout
    self.operationTimeout = operationTimeout
    self.keyPrefix = keyPrefix
    self.isFencingEnabled = isFencingEnabled
    self.maxWaiters = maxWaiters
    self.localHandoffLimit = localHandoffLimit
    self.label = label
  }
}
