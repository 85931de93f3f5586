# The jobs of sidekiq_orders.py: loaded by Sidekiq's own process, and, as a program, the submitter of orders.
require 'sidekiq'

address = { url: "redis://127.0.0.1:#{ENV.fetch('VALK_PORT')}/0", reconnect_attempts: 0 }
Sidekiq.configure_server { |config| config.redis = address }
Sidekiq.configure_client { |config| config.redis = address }

# Sidekiq asks for jobs whose time has come at intervals that grow with the number of processes.
Sidekiq.options[:poll_interval_average] = 0.5
Sidekiq.logger.level = Logger::FATAL unless ENV['VALK_LOUD']

module Books
  ACCOUNTS = 7
  AWAY = [Redis::BaseConnectionError, Redis::CommandError].freeze
  MOVE = <<~LUA
    if redis.call('SET', 'bank:moved:' .. ARGV[1], 1, 'NX') then
      redis.call('HINCRBY', 'bank:accounts', ARGV[2], -ARGV[1])
      redis.call('HINCRBY', 'bank:accounts', ARGV[3], ARGV[1])
      redis.call('XADD', 'bank:journal', '*', 'job', ARGV[1])
    end
  LUA

  def self.note(word, number)
    File.open(ENV.fetch('VALK_LEDGER'), 'ab') { |book| book.syswrite("#{word} #{number}\n") }
  end

  def self.perform(number)
    note('begin', number)
    begin
      Sidekiq.redis { |store| store.eval(MOVE, argv: [number, number % ACCOUNTS, (number + 1) % ACCOUNTS]) }
    rescue *AWAY => error
      raise if error.is_a?(Redis::CommandError) && !error.message.start_with?('LOADING')

      sleep 0.05
      retry
    end
    note('end', number)
  end
end

class OrderJob
  include Sidekiq::Worker
  sidekiq_options queue: 'orders', retry: 20

  def perform(number)
    Books.perform(number)
  end
end

# Fails at first, and is tried again by way of the sorted set of retries.
class SecondTryJob
  include Sidekiq::Worker
  sidekiq_options queue: 'orders', retry: 20
  sidekiq_retry_in { 1 }

  def perform(number)
    first = Sidekiq.redis { |store| store.incr("tries:#{number}") }
    raise 'not yet' if first == 1

    Books.perform(number)
  end
end

# What the submitter takes from its input: a line for each order, answered by a line.
if $PROGRAM_NAME == __FILE__
  $stdout.sync = true
  $stdin.each_line do |line|
    word, number = line.split
    number = number.to_i
    begin
      case word
      when 'order' then OrderJob.perform_async(number)
      when 'later' then OrderJob.perform_in(1, number)
      when 'again' then SecondTryJob.perform_async(number)
      when 'bulk' then Sidekiq::Client.push_bulk('class' => OrderJob, 'args' => (number...number + 10).map { |n| [n] })
      when 'off'
        name = OrderJob.perform_in(1, number)
        require 'sidekiq/api'
        Sidekiq::ScheduledSet.new.find_job(name).delete
      end
      puts 'yes'
    rescue *Books::AWAY => error
      puts "no #{error.message}"
    end
  end
end
