<?php
// One page of a shop: phpredis keeps the session and holds its lock while the page runs.
ini_set('session.save_handler', 'redis');
ini_set('session.save_path', 'tcp://127.0.0.1:' . getenv('VALK_PORT') . '?prefix=php:');
ini_set('redis.session.locking_enabled', '1');
ini_set('redis.session.lock_expire', '3');
ini_set('redis.session.lock_wait_time', '2000');
ini_set('redis.session.lock_retries', '5000');
set_error_handler(function ($number, $text) {
    http_response_code(500);
    echo $text;
    exit;
});
if (!session_start()) {
    http_response_code(500);
    exit;
}
$action = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($action == '/add') {
    $_SESSION['cart'][] = $_GET['item'];
    if (!session_write_close()) {
        http_response_code(500);
        exit;
    }
    // phpredis 5 takes some writes that failed for done: a page says yes to what it can read.
    $redis = new Redis();
    $redis->connect('127.0.0.1', (int) getenv('VALK_PORT'));
    if (!str_contains((string) $redis->get('php:' . session_id()), '"' . $_GET['item'] . '"')) {
        http_response_code(500);
        exit;
    }
    echo count($_SESSION['cart']);
} elseif ($action == '/view') {
    echo implode(' ', $_SESSION['cart'] ?? []);
} elseif ($action == '/new') {
    session_regenerate_id(true);
    echo session_id();
} elseif ($action == '/leave') {
    session_destroy();
    echo 'bye';
}
