import AsyncRedisLock
import Foundation
import Hummingbird
import Logging
import ServiceLifecycle

/// An HTTP service that does one thing at a time for each customer, on however many hosts it runs.
///
/// A locker is a service, too: when the group shuts down, it waits until the last request has given its lock back.
@main
enum HTTPService {
  static let url = ProcessInfo.processInfo.environment["REDIS_LOCK_URL"] ?? "redis://127.0.0.1:6379"

  static func main() async throws {
    let logger = Logger(label: "http-service")
    let (locker, accounts) = (try await Locker(url: url, logger: logger), Accounts())
    let router = Router()
    router.post("customers/:id/orders") { _, context in
      let customer = try context.parameters.require("id")
      do {
        return try await locker.withLock("example:customer:\(customer)") { _ in
          String(try await accounts.order(for: customer))
        }
      } catch LockError.Code.timeout {
        // Another request is busy with this customer: the client may try again.
        throw HTTPError(.conflict)
      } catch LockError.Code.lost, LockError.Code.unreachable, LockError.Code.closed {
        throw HTTPError(.serviceUnavailable)
      }
    }
    let visitor = Visitor()
    let application = Application(
      router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
      onServerRunning: { channel in visitor.port.yield(channel.localAddress?.port ?? 0) },
      logger: logger)

    // The first service of the list is shut down last.
    let group = ServiceGroup(
      configuration: .init(
        services: [
          .init(service: locker), .init(service: application),
          .init(
            service: visitor, successTerminationBehavior: .gracefullyShutdownGroup,
            failureTerminationBehavior: .cancelGroup),
        ],
        gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
    try await group.run()
    precondition(accounts.overlaps == 0 && accounts.orders == Visitor.requests)
    print("\(accounts.orders) orders of 3 customers, never two of the same customer at once.")
  }
}
