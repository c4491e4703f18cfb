<?php
/**
 * Plugin Name:       Aerie Chat
 * Description:       Puts the chat of your Aerie server on this site: connects the two, and shows the widget where you want it.
 * Version:           0.1.0
 * Requires at least: 6.1
 * Requires PHP:      7.4
 * License:           MIT
 * License URI:       https://opensource.org/license/mit
 * Text Domain:       aerie-chat
 * Domain Path:       /languages
 *
 * @package Aerie_Chat
 */

defined( 'ABSPATH' ) || exit;

define( 'AERIE_CHAT_VERSION', '0.1.0' );
define( 'AERIE_CHAT_FILE', __FILE__ );

require_once __DIR__ . '/includes/options.php';
require_once __DIR__ . '/includes/callback.php';
require_once __DIR__ . '/includes/front.php';

add_action( 'init', 'aerie_chat_load_translations' );
add_action( 'parse_request', 'aerie_chat_route_without_permalinks', 5 );
add_action( 'rest_api_init', 'aerie_chat_register_route' );
add_action( 'wp_enqueue_scripts', 'aerie_chat_enqueue' );
add_filter( 'script_loader_tag', 'aerie_chat_script_tag', 10, 2 );
add_shortcode( 'aerie_chat', 'aerie_chat_shortcode' );

if ( is_admin() ) {
	require_once __DIR__ . '/includes/server.php';
	require_once __DIR__ . '/includes/actions.php';
	require_once __DIR__ . '/includes/page.php';

	add_action( 'admin_init', 'aerie_chat_register_settings' );
	add_action( 'admin_menu', 'aerie_chat_add_page' );
	add_action( 'admin_enqueue_scripts', 'aerie_chat_enqueue_page' );
	add_action( 'admin_post_aerie_chat_register', 'aerie_chat_handle_register' );
	add_action( 'admin_post_aerie_chat_connect', 'aerie_chat_handle_connect' );
	add_action( 'admin_post_aerie_chat_check', 'aerie_chat_handle_check' );
	add_action( 'admin_post_aerie_chat_disconnect', 'aerie_chat_handle_disconnect' );
	add_filter( 'plugin_action_links_' . plugin_basename( __FILE__ ), 'aerie_chat_action_links' );
}

/**
 * Translations travel with the plugin.
 */
function aerie_chat_load_translations() {
	load_plugin_textdomain( 'aerie-chat', false, dirname( plugin_basename( AERIE_CHAT_FILE ) ) . '/languages' );
}
