<?php
/**
 * Removes all that the plugin kept, on every site of a network.
 *
 * @package Aerie_Chat
 */

defined( 'WP_UNINSTALL_PLUGIN' ) || exit;

/**
 * Removes what was kept for the site that is current.
 */
function aerie_chat_uninstall_site() {
	foreach ( array( 'aerie_chat_settings', 'aerie_chat_site', 'aerie_chat_key' ) as $option ) {
		delete_option( $option );
	}
	foreach ( array( 'aerie_chat_callback', 'aerie_chat_stranger', 'aerie_chat_status', 'aerie_chat_outcome' ) as $transient ) {
		delete_transient( $transient );
	}
}

if ( is_multisite() ) {
	foreach ( get_sites( array( 'fields' => 'ids', 'number' => 0 ) ) as $aerie_chat_site_id ) {
		switch_to_blog( $aerie_chat_site_id );
		aerie_chat_uninstall_site();
		restore_current_blog();
	}
} else {
	aerie_chat_uninstall_site();
}
