import Foundation
import ServiceLifecycle

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// Sends many orders as soon as the server runs, and then makes the group shut down.
struct Visitor: Service {
  static let requests = 60

  private let ports: AsyncStream<Int>
  /// Receives the server's port.
  let port: AsyncStream<Int>.Continuation

  init() { (ports, port) = AsyncStream.makeStream() }

  func run() async throws {
    guard let port = await ports.first(where: { _ in true }) else { return }
    print(
      "The service listens on port \(port), and \(Self.requests) orders of 3 customers come at once."
    )
    print("  curl -X POST http://127.0.0.1:\(port)/customers/1/orders")
    try await withThrowingTaskGroup { group in
      for number in 0..<Self.requests {
        group.addTask {
          guard let url = URL(string: "http://127.0.0.1:\(port)/customers/\(number % 3)/orders")
          else { return }
          var request = URLRequest(url: url)
          request.httpMethod = "POST"
          let (_, response) = try await URLSession.shared.data(for: request)
          let status = (response as? HTTPURLResponse)?.statusCode
          precondition(status == 200, "status \(status ?? 0)")
        }
      }
      try await group.waitForAll()
    }
  }
}
